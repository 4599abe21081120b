"""The safety filter as a bundle wants it: its networks, its thresholds, what it knows of novelty."""

from __future__ import annotations

from safe_o2o_ros.bundle import Bundle
from safe_o2o_ros.safety.filter import FilterConfig, SafetyFilter
from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.safety.risk import BundleRisk


def bundle_filter(bundle: Bundle, config: FilterConfig) -> SafetyFilter:
    """`bundle` must have been loaded with its safety network."""
    thresholds = bundle.manifest.thresholds
    gauge = NoveltyGauge(thresholds, bundle.manifest.period_s) if bundle.manifest.latent.novelty else None
    return SafetyFilter(
        bundle.manifest.adapter,
        config,
        BundleRisk(bundle),
        thresholds.risk,
        bundle.version,
        gauge,
        thresholds.support,
    )
