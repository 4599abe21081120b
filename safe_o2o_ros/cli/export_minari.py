"""A store as a Minari data set, the format of Gymnasium's offline reinforcement learning."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from safe_o2o_ros.data import Episode, EpisodeReader
from safe_o2o_ros.errors import RecordingError


def write_minari(reader: EpisodeReader, out: Path, name: str) -> int:
    """Write all episodes as the data set `name` (such as rc_car/human-v0) under the folder `out`.

    Observations: a dictionary of cameras. Costs stand in `infos["cost"]`, (T,). Returns the number of
    episodes. Raises RecordingError.
    """
    import minari
    from gymnasium import spaces
    from minari.data_collector.episode_buffer import EpisodeBuffer

    first = next(iter(reader), None)
    if first is None:
        raise RecordingError(f"{reader.directory} holds no episode that can be read: nothing is written")

    def buffer(episode: Episode) -> EpisodeBuffer:
        last = np.arange(len(episode)) == len(episode) - 1
        return EpisodeBuffer(
            observations=dict(episode.images),
            actions=episode.actions,
            rewards=episode.rewards,
            terminations=last & episode.terminated,
            # What goes on in another record still ends here for a reader of episodes.
            truncations=last & (not episode.terminated),
            infos={"cost": episode.costs},
        )

    frames: dict[str, spaces.Space[Any]] = {
        name: spaces.Box(0, 255, f.shape[1:], np.uint8) for name, f in first.images.items()
    }
    width = first.actions.shape[1]
    try:
        with _root(out), warnings.catch_warnings():
            # On authors and environments, which a recording on a robot does not have.
            warnings.simplefilter("ignore", UserWarning)
            data = minari.create_dataset_from_buffers(
                name,
                (buffer(e) for e in reader),
                observation_space=spaces.Dict(frames),
                action_space=spaces.Box(-1.0, 1.0, (width,), np.float32),
                description=f"Exported from the store of task {reader.manifest.task}.",
                jpeg_encoding=False,
            )
            return int(data.total_episodes)
    except (OSError, ValueError) as error:
        raise RecordingError(f"the data set {name} cannot be written to {out} ({error})") from error


@contextlib.contextmanager
def _root(out: Path) -> Iterator[None]:
    """Minari's folder of data sets, which it takes from the environment only."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(out.absolute())
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
