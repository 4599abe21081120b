"""Gathers an episode tick by tick: frame, then answer, then outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.types import Decision, FloatArray


class EpisodeRecorder:
    """Call `frame`, `answer`, `outcome` once per control period, in this order; then `finish`."""

    def __init__(self, seed: int, period_s: float) -> None:
        self._seed = seed
        self._period_s = period_s
        self._rows: dict[str, list[Any]] = {}
        self._images: dict[str, list[NDArray[np.uint8]]] = {}
        self._top: list[NDArray[np.uint8]] = []

    def frame(
        self,
        images: Mapping[str, NDArray[np.uint8]],
        position: NDArray[np.float64],
        yaw: float,
        top: NDArray[np.uint8] | None = None,
    ) -> None:
        """What the cameras saw and where the robot was: metres and radians in the world frame."""
        self._add(time_s=len(self._rows.get("time_s", ())) * self._period_s, position=position, yaw=yaw)
        for camera, pixels in images.items():
            self._images.setdefault(camera, []).append(pixels)
        if top is not None:
            self._top.append(top)

    def answer(self, nominal: FloatArray, decision: Decision, surprise: float) -> None:
        """What was asked for, and what the filter made of it."""
        self._add(
            nominal=nominal,
            executed=decision.action,
            changed=decision.changed,
            reason=decision.reason.value,
            would="" if decision.would is None else decision.would.value,
            value=decision.value,
            threshold=decision.threshold,
            surprise=surprise,
        )

    def outcome(self, reward: float, cost: float) -> None:
        """What the period brought."""
        self._add(reward=reward, cost=cost)

    def finish(self, info: Mapping[str, Any], terminated: bool) -> EpisodeLog:
        """The complete log; `info`, `terminated`: what the environment said of the last step."""
        rows = self._rows

        def column(name: str, dtype: Any = np.float64) -> NDArray[Any]:
            return np.asarray(rows.get(name, []), dtype)

        return EpisodeLog(
            seed=self._seed,
            period_s=self._period_s,
            goals=int(info["goals"]),
            control_steps=int(info["control_steps"]),
            success=info.get("success"),
            # The last one also lists the goals that were drawn on the way: it replays the whole episode.
            layout=dict(info["layout"]),
            time_s=column("time_s"),
            reward=column("reward"),
            cost=column("cost"),
            value=column("value"),
            threshold=column("threshold"),
            surprise=column("surprise"),
            nominal=column("nominal", np.float32),
            executed=column("executed", np.float32),
            changed=column("changed", np.bool_),
            reason=[str(r) for r in rows.get("reason", [])],
            position=column("position"),
            yaw=column("yaw"),
            images={camera: np.stack(frames) for camera, frames in self._images.items()},
            top=np.stack(self._top) if self._top else None,
            would=[str(r) for r in rows.get("would", [])],
            terminated=terminated,
        )

    def _add(self, **values: Any) -> None:
        for name, value in values.items():
            self._rows.setdefault(name, []).append(value)
