"""The loop itself: drive, learn, release; and how far it has come."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from safe_o2o_ros.cli.finetune_data import experience_writer
from safe_o2o_ros.cli.finetune_worker import OWN, Job, drive
from safe_o2o_ros.errors import StoreError

if TYPE_CHECKING:
    from safe_o2o_ros.learning.learner import Learner
    from safe_o2o_ros.learning.tuned_encoder import TunedEncoder
    from safe_o2o_ros.online.verdict import Verdict

_PROGRESS = "progress.json"


@dataclass
class Tuning:
    """What has happened so far; written after every episode."""

    episodes: list[dict[str, Any]] = field(default_factory=list)
    """Per tuning episode: record, share of the online actor, bundle."""
    gate: list[dict[str, Any]] = field(default_factory=list)
    """Every candidate: after which episode, verdict."""
    bundle: str = ""
    """Directory of the bundle that drives."""

    def save(self, out: Path) -> None:
        """Atomically."""
        draft = out / f"{_PROGRESS}.tmp"
        draft.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        draft.replace(out / _PROGRESS)

    @classmethod
    def load(cls, out: Path) -> Tuning:
        """What `save` wrote; empty if there is nothing. Raises StoreError."""
        path = out / _PROGRESS
        if not path.exists():
            return cls()
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise StoreError(f"{path} is not the progress of a run ({error}): give another --out") from error


@dataclass(frozen=True)
class Learning:
    """What learns, and from what."""

    learner: Learner
    encoder: TunedEncoder | None
    """None: the encoder stays as it is."""
    offline: Path
    """Store of recorded episodes."""
    held_out: Path
    """Store of the gate's."""


def tune(args: argparse.Namespace, learning: Learning, tuning: Tuning, console: Console) -> None:
    """Drive, learn, release."""
    from safe_o2o_ros.cli.training import bars

    learner = learning.learner
    tuning.bundle = tuning.bundle or str(args.bundle)
    with bars(console) as report, experience_writer(args.out / "experience", args) as writer:
        for number in range(len(tuning.episodes), args.episodes):
            job = Job(
                args.task,
                args.variant,
                Path(tuning.bundle),
                OWN,
                args.seed + number,
                not args.no_filter,
                exploration=args.exploration,
                risk_share=args.risk_share,
            )
            driven = drive(job)
            writer.append(driven.episode)
            learner.add([driven.episode])
            # The first episode waits for the critics to know the recorded data.
            losses = learner.update(args.updates + (learner.settings.warmup if learner.step == 0 else 0))
            tuning.episodes.append(
                {
                    **driven.record,
                    "online_share": driven.online / driven.ticks,
                    "bundle": Path(tuning.bundle).name,
                }
            )
            report("tune", number + 1, args.episodes, losses)
            if (number + 1) % args.every == 0:
                if learning.encoder is not None:
                    _tune_encoder(args, learner, learning.encoder, learning.offline)
                verdict = _release(args, learner, tuning, learning.held_out, number + 1)
                say = (
                    "released" if verdict.passed else f"refused ({verdict.refusal and verdict.refusal.value})"
                )
                console.print(f"episode {number + 1}: {say}: {verdict.sentence}")
            learner.save()
            tuning.save(args.out)


def _tune_encoder(args: argparse.Namespace, learner: Learner, encoder: TunedEncoder, offline: Path) -> None:
    """The world model learns, and everything on top of it moves to its new latents."""
    made, recorded, own = encoder.tune(offline, args.out / "experience", args.world_model_updates)
    learner.adopt(made)
    learner.replace(offline, recorded, own)
    # As many as since the last candidate: what the critics knew is called otherwise now.
    learner.update(args.updates * args.every)


def _release(
    args: argparse.Namespace, learner: Learner, tuning: Tuning, held_out: Path, after: int
) -> Verdict:
    from safe_o2o_ros.online.gate import Bounds, judge
    from safe_o2o_ros.online.verdict import Verdict

    candidate, released = args.out / "candidate", args.out / f"bundle-{after:03d}"
    made = learner.package(candidate)
    if args.no_gate:
        candidate.rename(released)
        verdict = Verdict(made.version, True, None, "not judged")
    else:
        verdict = judge(candidate, Path(tuning.bundle), held_out, released, Bounds())
    if verdict.passed:
        tuning.bundle = str(released)
    tuning.gate.append({"episode": after, **json.loads(verdict.to_json())})
    return verdict
