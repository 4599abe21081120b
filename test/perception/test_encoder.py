"""The recurrent encoder: restartable, faithful to the network, deaf to garbage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.tiny_bundle import STATE, write_tiny_bundle

from safe_o2o_ros.bundle import ENCODER, Bundle, load_bundle
from safe_o2o_ros.errors import FrameError, NonFiniteError
from safe_o2o_ros.perception.encoder import EncoderState, RecurrentEncoder
from safe_o2o_ros.types import FrameSet, Latent

ZERO = np.zeros(2, np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("encoder") / "bundle"
    write_tiny_bundle(directory)
    return load_bundle(directory, (ENCODER,))


@pytest.fixture
def encoder(bundle: Bundle) -> RecurrentEncoder:
    return RecurrentEncoder(bundle)


def frames(count: int, seed: int = 0) -> list[FrameSet]:
    rng = np.random.default_rng(seed)
    return [FrameSet(t + 1, rng.integers(0, 256, (64, 64, 6), np.uint8)) for t in range(count)]


def run(
    encoder: RecurrentEncoder, state: EncoderState, sets: list[FrameSet], actions: list[np.ndarray]
) -> tuple[EncoderState, list[Latent]]:
    latents = []
    for each, action in zip(sets, actions, strict=True):
        state, latent = encoder.step(state, each, action)
        latents.append(latent)
    return state, latents


def test_a_latent_carries_stamp_version_and_size(encoder: RecurrentEncoder) -> None:
    state, latent = encoder.step(encoder.initial(), frames(1)[0], ZERO)
    assert (latent.stamp_ns, latent.version) == (1, "tiny-1")
    assert latent.feature.shape == (STATE,) and latent.feature.dtype == np.float32
    assert latent.surprise == 0.0 and not state.is_first


def test_a_first_step_ignores_state_and_action(encoder: RecurrentEncoder) -> None:
    image = frames(1)[0]
    used = EncoderState(np.full((1, STATE), 0.7, np.float32), is_first=True)
    a = encoder.step(encoder.initial(), image, ZERO)[1]
    b = encoder.step(used, image, np.array([0.05, 1.0], np.float32))[1]
    assert np.array_equal(a.feature, b.feature)


def test_the_network_is_told_the_effective_action(encoder: RecurrentEncoder) -> None:
    first, second = frames(2)
    state, _ = encoder.step(encoder.initial(), first, ZERO)
    limit = encoder.step(state, second, np.array([0.05, 0.0], np.float32))[1].feature
    beyond = encoder.step(state, second, np.array([1.0, 0.0], np.float32))[1].feature
    half = encoder.step(state, second, np.array([0.025, 0.0], np.float32))[1].feature
    assert np.array_equal(limit, beyond) and not np.array_equal(limit, half)


def test_a_run_interrupted_anywhere_continues_bit_for_bit(encoder: RecurrentEncoder, bundle: Bundle) -> None:
    sets = frames(12)
    actions = list(np.random.default_rng(1).uniform(-1, 1, (12, 2)).astype(np.float32))
    _, whole = run(encoder, encoder.initial(), sets, actions)
    state, before = run(encoder, encoder.initial(), sets[:5], actions[:5])
    _, after = run(RecurrentEncoder(bundle), state, sets[5:], actions[5:])
    for a, b in zip(whole, before + after, strict=True):
        assert np.array_equal(a.feature, b.feature) and a.surprise == b.surprise


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((32, 64, 6), np.uint8),
        np.zeros((64, 64, 6), np.float32),
    ],
)
def test_an_image_of_another_size_or_type_is_refused(encoder: RecurrentEncoder, image: np.ndarray) -> None:
    with pytest.raises(FrameError, match=r"takes uint8 images of \(64, 64, 6\)"):
        encoder.step(encoder.initial(), FrameSet(1, image), ZERO)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_executed_action_that_is_not_finite_is_refused(encoder: RecurrentEncoder, bad: float) -> None:
    with pytest.raises(NonFiniteError, match="executed_cmd"):
        encoder.step(encoder.initial(), frames(1)[0], np.array([bad, 0.0], np.float32))


def test_a_state_gone_bad_is_reported_and_a_fresh_one_recovers(encoder: RecurrentEncoder) -> None:
    bad = EncoderState(np.full((1, STATE), np.nan, np.float32), is_first=False)
    with pytest.raises(NonFiniteError, match="reset the episode"):
        encoder.step(bad, frames(1)[0], ZERO)
    assert np.isfinite(encoder.step(encoder.initial(), frames(1)[0], ZERO)[1].feature).all()


def test_the_recurrence_follows_the_networks_own_equation(tmp_path: Path) -> None:
    """next = tanh(W_image mean-pooled image + W_state state + W_action action), computed here by hand."""
    import onnx
    from onnx import numpy_helper

    write_tiny_bundle(tmp_path / "bundle", seed=3)
    encoder = RecurrentEncoder(load_bundle(tmp_path / "bundle", (ENCODER,)))
    graph = onnx.load(tmp_path / "bundle" / ENCODER).graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    state, hidden = encoder.initial(), np.zeros(STATE)
    actions = np.random.default_rng(2).uniform(-0.05, 0.05, (6, 2)).astype(np.float32)
    for t, (each, action) in enumerate(zip(frames(6, seed=5), actions, strict=True)):
        state, latent = encoder.step(state, each, action)
        pooled = (each.image / 255.0).reshape(4, 16, 4, 16, 6).mean((1, 3)).transpose(2, 0, 1).ravel()
        effective = np.array([action[0] / 0.05, action[1]]) * (t > 0)
        expected = hidden @ weights["w_state"] + effective @ weights["w_action"]
        assert latent.surprise == pytest.approx(np.abs(expected).mean(), abs=1e-5)
        hidden = np.tanh(expected + pooled @ weights["w_image"])
        np.testing.assert_allclose(latent.feature, hidden, atol=1e-5)
