"""What `bench rc-car` computes from the scores of its folds: errors, areas, intervals over drives, bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.bootstrap import interval_of
from safe_o2o_ros.cli.bench_reachability import area_under_curve

Floats = NDArray[np.floating]
STEERING_BAR, CLONE_BAR, DELETED_BAR, PICTURE_BAR = 0.5, 1.0, 0.85, 1.0
LATELY = 10
"""Steps of a running mean: half a second."""
DRIVERS = ("mean", "repeat", "clone", "ours")
"""Who is compared with the driver: the mean of training, his last command again, the clone, ours."""


@dataclass(frozen=True)
class Fold:
    """Scores of the drives that were held out once; arrays of one row for each step."""

    drive: NDArray[np.int64]
    """Which drive it belongs to."""
    driver: Floats
    """Steering of the driver, effective action, left positive."""
    ours: Floats
    clone: Floats
    mean: Floats
    """Mean steering of the training drives."""
    deleted: NDArray[np.bool_]
    """The driver threw the frame away."""
    labelled: NDArray[np.bool_]
    """Its recording tells what was thrown away; of the others `deleted` is not known."""
    risk: Floats
    """Log odds of a mishap, from the pictures alone."""
    picture_drive: dict[int, NDArray[np.int64]]
    """Steps ahead -> drive of each predicted picture."""
    predicted: dict[int, Floats]
    """Steps ahead -> mean squared error of the predicted picture."""
    carried: dict[int, Floats]
    """Steps ahead -> with the share of the last frame's remainder that is carried over."""
    copied: dict[int, Floats]
    """Steps ahead -> of the last frame."""
    strip: NDArray[np.uint8]
    """(3, K, H, W, 3) last frames, what came, what was predicted."""

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        flat: dict[str, Any] = {}
        for name, value in vars(self).items():
            flat |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
        draft = path.with_name(f"draft-{path.name}")
        np.savez_compressed(draft, **flat)
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> Fold:
        """Inverse of `save`."""
        with np.load(path) as file:
            flat = dict(file)
        fields: dict[str, Any] = {}
        for name, value in flat.items():
            field, dot, key = name.partition(".")
            if dot:
                fields.setdefault(field, {})[int(key)] = value
            else:
                fields[field] = value
        return cls(**fields)

    def repeat(self) -> Floats:
        """The driver's command of the step before; 0 at the first step of a drive."""
        before = np.concatenate([[0.0], self.driver[:-1]])
        first = np.concatenate([[True], self.drive[1:] != self.drive[:-1]])
        return np.where(first, 0.0, before)

    def lately(self, values: Floats) -> Floats:
        """Mean of a value and those before it in its drive, up to LATELY steps."""
        out = np.empty(len(values))
        for drive in np.unique(self.drive):
            at = np.flatnonzero(self.drive == drive)
            total = np.concatenate([[0.0], np.cumsum(values[at])])
            first = np.maximum(0, np.arange(1, len(at) + 1) - LATELY)
            out[at] = (total[1:] - total[first]) / (np.arange(1, len(at) + 1) - first)
        return out

    def errors(self) -> dict[str, Floats]:
        """Who -> (n,) absolute steering errors."""
        said = {"mean": self.mean, "repeat": self.repeat(), "clone": self.clone, "ours": self.ours}
        return {name: np.abs(said[name] - self.driver) for name in DRIVERS}


def summary(folds: Sequence[Fold], horizons: Sequence[int]) -> dict[str, Any]:
    """All numbers, JSON values. Intervals: bootstrap over whole drives."""
    drive = np.concatenate([f.drive for f in folds])
    deleted = np.concatenate([f.deleted for f in folds])
    errors = {name: np.concatenate([f.errors()[name] for f in folds]) for name in DRIVERS}
    risk = np.concatenate([f.risk for f in folds])
    drives = np.unique(drive)
    rows = {int(d): np.flatnonzero(drive == d) for d in drives}
    steering: dict[str, Any] = {}
    for name in DRIVERS:
        steering[name] = _value(lambda at, e=errors[name]: float(e[at].mean()), rows)  # type: ignore[misc]
    ratios = {
        "to_mean": _value(lambda at: float(errors["ours"][at].sum() / errors["mean"][at].sum()), rows),
        "to_clone": _value(lambda at: float(errors["ours"][at].sum() / errors["clone"][at].sum()), rows),
        "clone_to_mean": _value(lambda at: float(errors["clone"][at].sum() / errors["mean"][at].sum()), rows),
    }
    kept = {k: v[~deleted[v]] for k, v in rows.items() if not deleted[v].all()}
    ratios["to_mean_kept_frames"] = _value(
        lambda at: float(errors["ours"][at].sum() / errors["mean"][at].sum()), kept
    )
    known = np.concatenate([f.labelled for f in folds])
    told = {k: v for k, v in rows.items() if known[v].all()}
    lately = np.concatenate([f.lately(f.risk) for f in folds])
    area = _value(lambda at: area_under_curve(risk[at], deleted[at]), told)
    area_lately = _value(lambda at: area_under_curve(lately[at], deleted[at]), told)
    pictures: dict[str, dict[str, Any]] = {}
    for h in horizons:
        ahead = np.concatenate([f.picture_drive[h] for f in folds])
        ours, carried, copy = (
            np.concatenate([getattr(f, k)[h] for f in folds]) for k in ("predicted", "carried", "copied")
        )
        at_drive = {int(d): np.flatnonzero(ahead == d) for d in np.unique(ahead)}
        pictures[str(h)] = {
            "model": float(ours.mean()),
            "carried": float(carried.mean()),
            "copy": float(copy.mean()),
            "carried_ratio": _value(lambda at, o=carried, c=copy: float(o[at].sum() / c[at].sum()), at_drive),  # type: ignore[misc]
            "ratio": _value(lambda at, o=ours, c=copy: float(o[at].sum() / c[at].sum()), at_drive),  # type: ignore[misc]
        }
    return {
        "steering_mae": steering,
        "steering_ratio": ratios,
        "deleted": {
            "auroc": area,
            "auroc_mean_of_half_a_second": area_lately,
            "frames": int(deleted[known].sum()),
            "of": int(known.sum()),
        },
        "pictures": pictures,
        "per_drive": [
            {
                "drive": d,
                "steps": len(at),
                "deleted": int(deleted[at].sum()),
                **{name: float(errors[name][at].mean()) for name in DRIVERS},
            }
            for d, at in rows.items()
        ],
        "bars": [
            _bar("steering error / mean predictor's", ratios["to_mean"], "<=", STEERING_BAR),
            _bar("steering error / clone's", ratios["to_clone"], "<", CLONE_BAR),
            _bar("AUROC of the frames thrown away", area, ">=", DELETED_BAR),
            *(
                _bar(f"picture error {h} ahead / copying: {name}", pictures[str(h)][key], "<", PICTURE_BAR)
                for h in horizons
                for key, name in (("ratio", "model alone"), ("carried_ratio", "with what it cannot draw"))
            ),
        ],
    }


def _value(
    statistic: Callable[[NDArray[np.int64]], float], rows: dict[int, NDArray[np.int64]]
) -> dict[str, Any]:
    """The statistic of all rows, and its interval over drives."""
    groups = list(rows.values())
    interval = interval_of(lambda drawn: statistic(np.concatenate([groups[i] for i in drawn])), len(groups))
    return {
        "value": statistic(np.concatenate(groups)),
        "ci95": None if interval is None else list(interval),
    }


def _bar(name: str, value: dict[str, Any], sign: str, bar: float) -> dict[str, Any]:
    """One requirement, and whether it holds."""
    number = float(value["value"])
    met = {"<=": number <= bar, "<": number < bar, ">=": number >= bar}[sign]
    return {"name": name, **value, "sign": sign, "bar": bar, "met": bool(met)}
