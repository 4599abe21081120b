"""One recurrent step of the world model per control period: frame set + executed action -> latent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safe_o2o_ros.bundle import ENCODER, Bundle
from safe_o2o_ros.errors import FrameError, NonFiniteError
from safe_o2o_ros.types import FloatArray, FrameSet, Latent


@dataclass(frozen=True)
class EncoderState:
    """What the encoder carries between steps."""

    recurrent: FloatArray
    """(1, S) float32."""
    is_first: bool
    """The next step starts an episode: state and action are ignored."""


class RecurrentEncoder:
    """`step(state, frames, action) -> state, latent`; restartable, since the state is the caller's."""

    def __init__(self, bundle: Bundle) -> None:
        """`bundle` must have been loaded with its encoder."""
        self.bundle = bundle
        self._network = bundle.networks[ENCODER]
        self._manifest = bundle.manifest
        self.version = bundle.version

    def initial(self) -> EncoderState:
        """The state at the start of an episode."""
        return EncoderState(np.zeros((1, self._manifest.latent.state_size), np.float32), is_first=True)

    def step(
        self, state: EncoderState, frames: FrameSet, executed: FloatArray
    ) -> tuple[EncoderState, Latent]:
        """Advance by one control period.

        `executed`: (A,) float32 raw action that was executed since the previous frame set (ignored
        on the first step). Raises FrameError, NonFiniteError.
        """
        spec = self._manifest.image
        expected = (spec.height, spec.width, spec.channels)
        if frames.image.shape != expected or frames.image.dtype != np.uint8:
            raise FrameError(
                f"the encoder takes uint8 images of {expected}, got {frames.image.dtype} {frames.image.shape}"
            )
        if not np.isfinite(executed).all():
            raise NonFiniteError("the executed action is not finite: check the publisher of executed_cmd")
        result = self._network.run(
            {
                "image": frames.image[None],
                "action": self._manifest.adapter.effective(executed)[None],
                "state": state.recurrent,
                "is_first": np.full((1, 1), float(state.is_first), np.float32),
            }
        )
        feature = result["latent"][0]
        surprise = float(result["surprise"][0, 0])
        if not (np.isfinite(feature).all() and np.isfinite(surprise)):
            raise NonFiniteError("the encoder's latent is not finite: reset the episode or change the bundle")
        latent = Latent(frames.stamp_ns, self.version, feature, surprise)
        return EncoderState(result["next_state"], is_first=False), latent
