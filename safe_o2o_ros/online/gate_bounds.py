"""How much worse a candidate may be, and how a test of the gate says no."""

from __future__ import annotations

from dataclasses import dataclass

from safe_o2o_ros.online.verdict import Refusal


@dataclass(frozen=True)
class Bounds:
    """How much worse than the running bundle a candidate may be."""

    alpha: float = 0.02
    """Share of commands wrongly called safe that thresholds are calibrated to."""
    horizon: int = 10
    """Control periods within which a cost counts."""
    most_risk: float = 0.8
    """Largest threshold that calibration gives."""
    looser: float = 1.5
    """Factor by which a release may loosen the threshold, where there are episodes enough."""
    false_safe: float = 0.02
    """More of the commands before a cost may be certified than the running bundle certifies, as a share."""
    certified: float = 0.15
    """Fewer of the commands before no cost may be certified, as a share."""
    thresholds: float = 2.0
    """Factor by which stated thresholds may be looser than those calibrated here."""
    surprise: float = 1.1
    """Factor by which held-out episodes may surprise the encoder more."""
    parity: float = 1e-3
    latency_share: float = 0.5
    """Of a control period that one step may take, median processor time."""
    latency_ratio: float = 4.0
    """Of the running bundle's step."""
    score: float = 0.02
    """In standard deviations of the return: what the chosen actions may score less than the offline ones."""
    bias: float = 2.0
    """The same: how far the critics' mean may be from what the running policy really earned; twice as
    far where the running bundle's is."""


DEFAULT_BOUNDS = Bounds()


class RefusedError(Exception):
    """A test of the gate failed; ends in a verdict, never in a traceback."""

    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal
