"""What `safe-o2o evaluate` compares: every combination of variant, driver and filter mode is one row."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safe_o2o_ros.errors import UsageError
from safe_o2o_ros.types import Mode

FILTER_MODES = {
    "on": Mode.FILTER,
    "off": Mode.LIMITS_ONLY,
    "shadow": Mode.SHADOW,
}
"""--filter -> mode of the safety filter."""


@dataclass(frozen=True)
class Row:
    """One combination; all rows of a command drive the same seeds."""

    task: str
    variant: str | None
    name: str
    """Of the driver, short, for tables."""
    bundle: str | None
    """Directory of a bundle; None: a scripted reference drives."""
    version: str | None
    """Of the bundle."""
    policy: str | None
    """Name of a scripted reference."""
    mode: Mode
    blind: bool
    """The bundle is shown black pictures."""
    action_repeat: int
    cameras: tuple[str, ...]
    """The driver, or its guard, looks at."""
    guard: str | None = None
    """Directory of the bundle whose filter guards the driver; None: its own, if it is a bundle."""
    guard_version: str | None = None
    """Of that bundle."""

    @property
    def driver(self) -> str:
        """The driver as a reader should call it."""
        return self.name + (" (blind)" if self.blind else "") + (" (guarded)" if self.guard else "")

    @property
    def filtered(self) -> bool:
        """There is a filter that could be on."""
        return self.bundle is not None or self.guard is not None

    @property
    def filter(self) -> str:
        """The mode as --filter has it."""
        return next(word for word, mode in FILTER_MODES.items() if mode is self.mode)


@dataclass(frozen=True)
class _Driver:
    name: str
    bundle: str | None
    version: str | None
    policy: str | None
    action_repeat: int
    cameras: tuple[str, ...] = ()


def rows_of(args: argparse.Namespace) -> list[Row]:
    """The rows in the order of variants, drivers, filter modes. Raises what is wrong with the arguments."""
    from safe_o2o_ros.sim.tasks import task_spec, variant_spec

    bundles, policies = _unique(args.bundle), _unique(args.policy)
    modes, variants = _unique(args.filter), _unique(args.variant) or [None]
    if not bundles and not policies:
        raise UsageError("one of the arguments --bundle --policy is required")
    if not bundles and args.guard is None and modes != ["off"]:
        filtered = next(mode for mode in modes if mode != "off")
        raise UsageError(
            f"--filter {filtered} needs --bundle, or --guard for scripted references, which have no filter"
        )
    if not bundles and args.blind:
        raise UsageError("--blind needs --bundle: a scripted reference looks at no pictures")
    task = task_spec(args.task)
    for variant in variants:
        variant_spec(variant, args.task)
    drivers = [_bundle_driver(path, bundles, args) for path in bundles]
    drivers += [_reference(policy, task) for policy in policies]
    guard = None if args.guard is None else _bundle_driver(args.guard, [args.guard], args)
    if guard is not None:
        for driver in drivers:
            _check_guard(guard, driver)
    return [
        Row(
            task=args.task,
            variant=variant,
            name=driver.name,
            bundle=driver.bundle,
            version=driver.version,
            policy=driver.policy,
            mode=FILTER_MODES[mode],
            blind=args.blind and driver.bundle is not None,
            action_repeat=driver.action_repeat,
            cameras=tuple(dict.fromkeys((*driver.cameras, *(guard.cameras if guard else ())))),
            guard=guard.bundle if guard else None,
            guard_version=guard.version if guard else None,
        )
        for variant in variants
        for driver in drivers
        for mode in (modes if driver.bundle is not None or guard is not None else ["off"])
    ]


def _check_guard(guard: _Driver, driver: _Driver) -> None:
    """Raises UsageError where guard and driver do not answer at the same times."""
    if guard.action_repeat != driver.action_repeat:
        raise UsageError(
            f"the guard answers every {guard.action_repeat} control steps, {driver.name} every "
            f"{driver.action_repeat}: choose bundles of one action repeat"
        )


def check_seeds(manifest: Any, first: int, count: int) -> None:
    """Refuse seeds the bundle has seen. Raises UsageError."""
    for seed in range(first, first + count):
        purpose = manifest.uses_seed(seed)
        if purpose is not None:
            raise UsageError(
                f"seed {seed} was used for the {purpose} of bundle {manifest.version}: "
                "choose unseen seeds, e.g. --seed 40000"
            )


def _bundle_driver(path: Path, all_paths: list[Path], args: argparse.Namespace) -> _Driver:
    """Load it once before a process starts: a bundle that does not fit should not be found out later."""
    from safe_o2o_ros.bundle import load_bundle
    from safe_o2o_ros.evaluation import check_bundle_fits
    from safe_o2o_ros.sim.make import make_env

    bundle = load_bundle(path, task=args.task)
    manifest = bundle.manifest
    check_seeds(manifest, args.seed, args.episodes)
    env = make_env(args.task, manifest.action_repeat, manifest.image.cameras, None)
    check_bundle_fits(bundle, env)
    env.close()
    # Its last part is a name where no other bundle has the same.
    alone = sum(other.resolve().name == path.resolve().name for other in all_paths) == 1
    name = path.resolve().name if alone else str(path)
    return _Driver(name, str(path), manifest.version, None, manifest.action_repeat, manifest.image.cameras)


def _reference(policy: str, task: Any) -> _Driver:
    from safe_o2o_ros.sim.demonstrators import kinds_of

    kinds = kinds_of(task.robot.adapter)
    if policy not in kinds:
        raise UsageError(f"unknown policy '{policy}': choose one of {', '.join(kinds)}")
    return _Driver(policy, None, None, policy, task.action_repeat)


def _unique(given: list[Any] | None) -> list[Any]:
    return list(dict.fromkeys(given or ()))
