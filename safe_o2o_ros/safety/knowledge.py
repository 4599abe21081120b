"""What the filter knows from bundles: of the one in use, and of others it may have to follow to."""

from __future__ import annotations

from dataclasses import dataclass

from safe_o2o_ros.safety.novelty import NoveltyGauge
from safe_o2o_ros.safety.risk import RiskModel


@dataclass(frozen=True)
class Knowledge:
    """What a bundle tells the filter. All else the filter keeps when the bundle changes."""

    version: str = ""
    risk: RiskModel | None = None
    """May be absent only in mode limits_only: without it every other mode brakes."""
    risk_threshold: float = 0.0
    gauge: NoveltyGauge | None = None
    """None where the bundle's latents do not say what is novel."""
    least_support: float | None = None
    """Of a certified command; None where the bundle does not know it."""


class KnownBundles:
    """The bundle in use, and those that are held beside it."""

    def __init__(self, first: Knowledge) -> None:
        self.used = first
        self._held = {first.version: first}

    def hold(self, knowledge: Knowledge) -> None:
        """Be ready for latents of another bundle. What is known of the one in use is not replaced."""
        if knowledge.version != self.used.version:
            self._held[knowledge.version] = knowledge

    def release(self, version: str) -> None:
        """Forget a bundle, unless it is in use."""
        if version != self.used.version:
            self._held.pop(version, None)

    def follow(self, version: str) -> None:
        """Use the bundle of a latent's version from now on, if it is held."""
        if version == self.used.version or version not in self._held:
            return
        before, self.used = self.used.gauge, self._held[version]
        if self.used.gauge is None:
            return
        if before is None:
            self.used.gauge.reset()
        else:
            self.used.gauge.take_over(before)
