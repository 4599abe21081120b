"""The loop every phase shares: exact resumption, checkpoints, and what stops it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from safe_o2o_ros.errors import NonFiniteError, StoreError
from safe_o2o_ros.learning import checkpoint
from safe_o2o_ros.learning.trainer import Clock, cosine, run_phase


class Regression:
    """Noisy regression with Adam: state in the weights and in the optimiser, randomness from the step."""

    name = "regression"

    def __init__(self, poison: int = -1, width: int = 3) -> None:
        torch.manual_seed(0)
        self.net = nn.Linear(width, 1)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=0.1)
        self.poison, self.updates = poison, 0

    def modules(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """See Phase."""
        return {"net": self.net, "optimiser": self.optimiser}

    def update(self, step: int) -> dict[str, Tensor]:
        """See Phase; the loss is NaN at update `poison`."""
        self.updates += 1
        loss = (self.net(torch.randn(4, self.net.in_features)) - 1.0).square().mean()
        if step == self.poison:
            loss = loss * math.nan
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {"loss": loss.detach()}


Logged = list[tuple[str, int, dict[str, float]]]


def run(phase: Regression, steps: int, path: Path, every: int = 4, **options: float) -> tuple[Clock, Logged]:
    logged: Logged = []
    clock = run_phase(
        phase, steps, 7, path, every, lambda *row: logged.append(row), lambda *_: None, **options
    )
    return clock, logged


def weights(phase: Regression) -> list[Tensor]:
    return [p.detach().clone() for p in phase.net.parameters()]


@pytest.mark.parametrize("stop", [0, 3, 4, 7, 12])
def test_a_run_stopped_anywhere_ends_in_the_same_weights(stop: int, tmp_path: Path) -> None:
    whole, first, second = Regression(), Regression(), Regression()
    run(whole, 12, tmp_path / "whole.pt")
    run(first, stop, tmp_path / "parts.pt")
    torch.manual_seed(999)  # what happened in between does not matter
    run(second, 12, tmp_path / "parts.pt")
    assert second.updates == 12 - stop
    for a, b in zip(weights(whole), weights(second), strict=True):
        assert torch.equal(a, b)


def test_a_finished_run_is_not_repeated(tmp_path: Path) -> None:
    first, again = Regression(), Regression()
    clock, _ = run(first, 8, tmp_path / "a.pt")
    clock_again, logged = run(again, 8, tmp_path / "a.pt")
    assert again.updates == 0 and logged == [] and clock_again == clock
    assert torch.equal(weights(first)[0], weights(again)[0])


def test_scalars_are_logged_every_twenty_updates_and_at_the_end(tmp_path: Path) -> None:
    _, logged = run(Regression(), 45, tmp_path / "a.pt", every=4)
    assert [(phase, step) for phase, step, _ in logged] == [("regression", n) for n in (20, 40, 45)]
    assert set(logged[0][2]) == {"loss"}


def test_a_budget_of_processor_time_ends_a_phase_also_over_resumed_runs(tmp_path: Path) -> None:
    phase = Regression()
    clock, _ = run(phase, 1000, tmp_path / "a.pt", budget_s=1e-9)
    assert phase.updates == 1 and clock.cpu_s >= 1e-9
    run(Regression(), 4, tmp_path / "b.pt")
    resumed = Regression()
    run(resumed, 1000, tmp_path / "b.pt", budget_s=1e-9)
    assert resumed.updates == 0


@pytest.mark.parametrize("poison", [13, 15, 19])
def test_a_loss_that_is_not_finite_stops_training_and_never_reaches_a_checkpoint(
    poison: int, tmp_path: Path
) -> None:
    with pytest.raises(NonFiniteError, match="regression: loss is not finite at update (16|20)"):
        run(Regression(poison), 40, tmp_path / "a.pt", every=4)
    state = checkpoint.load(tmp_path / "a.pt")
    assert state is not None and state["step"] == (12 if poison < 16 else 16)
    assert all(bool(torch.isfinite(w).all()) for w in state["net"].values())


def test_cosine_by_hand() -> None:
    # warm-up of 4 to 1.0, then half a cosine from 1.0 to 0.2 over 8 updates
    rates = [cosine(step, 12, 4, 1.0, 0.2) for step in (0, 1, 3, 4, 6, 8, 12)]
    quarter = 0.2 + 0.4 * (1.0 + math.cos(math.pi / 4))
    assert rates == pytest.approx([0.25, 0.5, 1.0, 1.0, quarter, 0.6, 0.2])
    assert cosine(0, 10, 0, 1.0, 0.2) == 1.0


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "none.pt") is None


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x02}q\x00.", b"PK\x03\x04 cut off"])
def test_a_garbled_checkpoint_is_named_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.pt .*delete it to start again") as caught:
        run(Regression(), 4, tmp_path / "a.pt")
    assert "\n" not in str(caught.value)


def test_a_checkpoint_cut_off_anywhere_is_named(tmp_path: Path) -> None:
    run(Regression(), 4, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        (tmp_path / "b.pt").write_bytes(data[: int(share * len(data))])
        with pytest.raises(StoreError, match=r"b\.pt"):
            checkpoint.load(tmp_path / "b.pt")


def test_a_checkpoint_of_other_networks_is_named(tmp_path: Path) -> None:
    run(Regression(width=5), 4, tmp_path / "a.pt")
    with pytest.raises(StoreError, match="is of other networks") as caught:
        run(Regression(), 8, tmp_path / "a.pt")
    assert "\n" not in str(caught.value)
    checkpoint.save(tmp_path / "b.pt", {"step": 3})
    with pytest.raises(StoreError, match="is of other networks"):
        run(Regression(), 8, tmp_path / "b.pt")


def test_a_checkpoint_is_data_and_never_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "sprung"),))

    torch.save({"net": Trap()}, tmp_path / "a.pt")
    with pytest.raises(StoreError):
        checkpoint.load(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()
