"""What a run of changes comes to, from numbers made by hand; and bundles that differ in nothing but bytes."""

import numpy as np
import pytest
from support.tiny_bundle import write_tiny_bundle

from safe_o2o_ros.bundle import NETWORKS, load_bundle
from safe_o2o_ros.cli.bench_swap import conclude, write_variants

MS = 1_000_000


def frame(at_ms, *answers_ms, latent=True):
    stamp_ns = at_ms * MS
    return {
        "stamp_ns": stamp_ns,
        "image_ns": stamp_ns,
        "latent": latent,
        "answers_ns": [stamp_ns + a * MS for a in answers_ms],
    }


def test_ticks_before_and_during_changes_are_told_apart_and_lost_doubled_and_late_ones_counted():
    before = [frame(1000 + 100 * i, 10) for i in range(10)]
    changes = [{"version": "x", "from_ns": 2000 * MS, "to_ns": 2200 * MS}]
    during = [
        frame(2000, 12), frame(2100, 31), frame(2200, 10, 50), frame(2300), frame(2400, latent=False),
        frame(2450, latent=False), frame(2500, 29),
    ]  # fmt: skip
    after = [frame(2800, 99)]
    found = {"frames": [*before, *during, *after], "changes": changes, "reasons": {"pass": 3}}
    result = conclude(found, 100.0)
    assert result["before"] | {"latency_ms": 0} == {
        "ticks": 10, "lost": 0, "answered_twice": 0, "early_frames": 0, "latency_ms": 0, "late_share": 0.0,
    }  # fmt: skip
    changing = result["changing"]
    assert (changing["ticks"], changing["lost"], changing["answered_twice"]) == (6, 2, 1)
    assert changing["early_frames"] == 1
    assert changing["late_share"] == pytest.approx(1 / 4)
    assert changing["latency_ms"]["max"] == 31.0
    assert (result["swaps"], result["change_ms"]["max"]) == (1, 200.0)


def test_where_a_learner_ran_beside_it_its_waiting_is_the_measure_of_its_learning():
    frames = [frame(1000 + 100 * i, 10) for i in range(5)]  # starts: belongs to nothing
    frames += [frame(2000 + 100 * i, 12) for i in range(5)]
    frames += [frame(3000 + 100 * i, 12 if i else 33) for i in range(4)]
    frames += [frame(4000, 14)]
    found = {
        "frames": frames,
        "changes": [{"version": "x", "from_ns": 3900 * MS, "to_ns": 4100 * MS}],
        "reasons": {},
        "spans": {"paused": [1950 * MS, 2600 * MS], "learning": [2950 * MS, 3500 * MS]},
        "updates": 7,
    }
    result = conclude(found, 100.0)
    assert [result[part]["ticks"] for part in ("before", "learning", "changing")] == [5, 4, 1]
    assert result["before"]["late_share"] == 0.0
    assert result["learning"]["late_share"] == pytest.approx(1 / 4)  # 33 - 12 > 20 ms
    assert result["updates"] == 7


def test_variants_are_other_files_that_do_the_same(tmp_path):
    manifest = write_tiny_bundle(tmp_path / "tiny")
    write_variants(tmp_path / "tiny", manifest, tmp_path / "many", 2)
    bundles = [load_bundle(path) for path in sorted((tmp_path / "many").iterdir())]
    assert len({b.version for b in bundles} | {manifest.version}) == 3
    for name in NETWORKS:
        assert len({b.manifest.files[name] for b in bundles} | {manifest.files[name]}) == 3
    latent = np.ones((1, manifest.latent.size), np.float32)
    outputs = [
        load_bundle(path).networks["policy.onnx"].run({"latent": latent})["actions"]
        for path in (tmp_path / "tiny", *sorted((tmp_path / "many").iterdir()))
    ]
    assert all(np.array_equal(o, outputs[0]) for o in outputs)
