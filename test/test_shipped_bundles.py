"""Every bundle under models/ is one a newcomer can drive with."""

from pathlib import Path

import pytest

from safe_o2o_ros.bundle import NETWORKS, load_bundle

MODELS = Path(__file__).resolve().parent.parent / "models"
SHIPPED = sorted(p.parent for p in MODELS.glob("*/manifest.json"))
LIMIT_BYTES = 12_000_000


def test_there_is_a_bundle_for_the_main_job() -> None:
    assert MODELS / "point_goal1" in SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_a_shipped_bundle_verifies_is_small_and_leaves_the_test_seeds_alone(path: Path) -> None:
    bundle = load_bundle(path)
    assert set(bundle.networks) == set(NETWORKS)
    assert sum(f.stat().st_size for f in path.iterdir()) <= LIMIT_BYTES
    manifest = bundle.manifest
    assert manifest.uses_seed(0) == "training"
    assert manifest.uses_seed(20_000) == "calibration"
    assert not any(manifest.uses_seed(seed) for seed in range(40_000, 50_000))
    parity = manifest.metrics["parity"]
    limits = {"novelty": 1e-2}
    assert all(apart <= limits.get(name, 1e-4) for name, apart in parity["per_step"].items())
    assert parity["steps"] == 50


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_a_shipped_bundle_has_a_card_that_names_its_version(path: Path) -> None:
    assert load_bundle(path, networks=()).version in (path / "README.md").read_text(encoding="utf-8")
