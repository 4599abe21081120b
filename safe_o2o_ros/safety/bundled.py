"""The safety filter as a bundle wants it: its networks, its thresholds, what it knows of novelty."""

from __future__ import annotations

from safe_o2o_ros.bundle import Bundle
from safe_o2o_ros.safety.filter import FilterConfig, SafetyFilter
from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.safety.risk import BundleRisk


def bundle_filter(bundle: Bundle, config: FilterConfig, threshold: float | None = None) -> SafetyFilter:
    """`bundle` must have been loaded with its safety network.

    `threshold`: of risk, for calibration, in place of the bundle's own; then nothing is too novel either.
    """
    thresholds, gauge = bundle.manifest.thresholds, None
    if bundle.manifest.latent.novelty and threshold is None:
        gauge = NoveltyGauge(thresholds, bundle.manifest.period_s)
    return SafetyFilter(
        bundle.manifest.adapter,
        config,
        BundleRisk(bundle),
        thresholds.risk if threshold is None else threshold,
        bundle.version,
        gauge,
        thresholds.support,
    )
