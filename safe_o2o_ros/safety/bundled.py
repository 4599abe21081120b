"""The safety filter as a bundle wants it: its networks, its thresholds, what it knows of novelty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.bundle import Bundle
from safe_o2o_ros.safety.filter import FilterConfig, SafetyFilter
from safe_o2o_ros.safety.knowledge import Knowledge
from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.safety.risk import BundleRisk


def knowledge(bundle: Bundle, threshold: float | None = None) -> Knowledge:
    """What `bundle`, loaded with its safety network, tells the filter. `threshold`: see bundle_filter."""
    thresholds, gauge = bundle.manifest.thresholds, None
    if bundle.manifest.latent.novelty and threshold is None:
        gauge = NoveltyGauge(thresholds, bundle.manifest.period_s)
    return Knowledge(
        bundle.version,
        BundleRisk(bundle),
        thresholds.risk if threshold is None else threshold,
        gauge,
        thresholds.support,
    )


@dataclass(frozen=True)
class Learnt:
    """What a running filter needs of another bundle to follow to it."""

    knowledge: Knowledge
    latent_size: int


def learnt(bundle: Bundle, warm_up: int = 0) -> Learnt:
    """Of `bundle`, loaded with its safety network, which scores `warm_up` commands as an exercise."""
    found = Learnt(knowledge(bundle), bundle.manifest.latent.size)
    if warm_up:
        nothing = np.zeros(found.latent_size, np.float32)
        BundleRisk(bundle)(nothing, np.zeros((warm_up, bundle.manifest.adapter.action_dim), np.float32))
    return found


def bundle_filter(bundle: Bundle, config: FilterConfig, threshold: float | None = None) -> SafetyFilter:
    """`bundle` must have been loaded with its safety network.

    `threshold`: of risk, for calibration, in place of the bundle's own; then nothing is too novel either.
    """
    known = knowledge(bundle, threshold)
    return SafetyFilter(
        bundle.manifest.adapter,
        config,
        known.risk,
        known.risk_threshold,
        known.version,
        known.gauge,
        known.least_support,
    )
