"""Recurrences in training: the same values and gradients as step by step, image losses included."""

import pytest
import torch
from torch import nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.recurrence import StepLinear, gru_states
from safe_o2o_ros.world_model.rssm import RSSM, RSSMState
from safe_o2o_ros.world_model.vision import ImageDecoder, squared_error

CONFIG = ModelConfig(depth=2, deter=16, groups=3, classes=4, units=16)


def gradients(loss: torch.Tensor, modules: list[nn.Module]) -> list[torch.Tensor]:
    parameters = [p for module in modules for p in module.parameters()]
    return [g for g in torch.autograd.grad(loss, parameters, allow_unused=True) if g is not None]


def test_a_step_linear_gives_the_gradients_of_a_linear() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(3, 3), torch.randn(2, 3, requires_grad=True)
    steps = StepLinear(linear.weight, linear.bias)
    found = torch.autograd.grad(torch.tanh(steps(torch.tanh(steps(x)))).sum(), [x, *linear.parameters()])
    plain = torch.autograd.grad(torch.tanh(linear(torch.tanh(linear(x)))).sum(), [x, *linear.parameters()])
    torch.testing.assert_close(found, plain)


def test_a_frozen_weight_passes_the_gradient_on_and_none_is_formed_for_it() -> None:
    linear, x = nn.Linear(3, 3).requires_grad_(False), torch.randn(2, 3, requires_grad=True)
    steps = StepLinear(linear.weight, linear.bias)
    steps(x).sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, linear.weight.sum(0).expand(2, 3))
    assert steps.gradients == [] and linear.weight.grad is None


def test_a_gru_over_sequences_equals_its_cell_step_by_step() -> None:
    torch.manual_seed(0)
    cell, inputs = nn.GRUCell(5, 7), torch.randn(3, 6, 5)
    is_first = torch.zeros(3, 6)
    is_first[:, 0] = is_first[1, 3] = 1.0
    state, states = torch.zeros(3, 7), []
    for t in range(6):
        state = cell(inputs[:, t], state * (1.0 - is_first[:, t, None]))
        states.append(state)
    plain, found = torch.stack(states, 1), gru_states(cell, inputs, is_first)
    torch.testing.assert_close(found, plain)
    torch.testing.assert_close(
        gradients(found.square().sum(), [cell]), gradients(plain.square().sum(), [cell])
    )


def test_filtering_sequences_equals_the_deployed_recurrence_step_by_step() -> None:
    torch.manual_seed(0)
    rssm = RSSM(CONFIG, embedding=5)
    embedding, action, is_first = torch.randn(2, 5, 5), torch.randn(2, 5, 2), torch.zeros(2, 5)
    is_first[:, 0] = is_first[1, 3] = 1.0
    deter, stoch, post, prior = rssm.observe(embedding, action, is_first)
    state, rows = rssm.initial(2), []
    for t in range(5):
        keep = 1.0 - is_first[:, t, None]
        following = rssm.recur(RSSMState(state.deter * keep, state.stoch * keep), action[:, t] * keep)
        post_t = rssm.posterior(following, embedding[:, t])
        probs = post_t.exp().flatten(-2)
        # What was drawn there, with the gradient of the probabilities here.
        state = RSSMState(following, probs + (stoch[:, t] - probs).detach())
        rows.append((following, post_t, rssm.prior(following)))
    plain = [torch.stack(row, 1) for row in zip(*rows, strict=True)]
    torch.testing.assert_close([deter, post, prior], plain)
    torch.testing.assert_close(
        gradients(deter.square().sum() + (post * prior).sum(), [rssm]),
        gradients(plain[0].square().sum() + (plain[1] * plain[2]).sum(), [rssm]),
    )


def test_draws_follow_the_probabilities() -> None:
    torch.manual_seed(0)
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4])
    drawn = RSSM(CONFIG, embedding=5).sample(probs.log().expand(20_000, 3, 4)).unflatten(-1, (3, 4))
    # Standard error 0.002 at 60 000 draws.
    assert drawn.mean((0, 1)).tolist() == pytest.approx(probs.tolist(), abs=0.01)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_the_decoder_and_its_loss_have_the_gradients_of_torchs_own_layers(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    decoder, feature = ImageDecoder(CONFIG, 8), torch.randn(3, 8)
    target = torch.rand(3, 64, 64, 6) - 0.5
    x = decoder.project(feature).view(-1, decoder.depth, 4, 4)
    for layer in decoder.net:
        plain_layer = isinstance(layer, nn.ConvTranspose2d)
        x = nn.ConvTranspose2d.forward(layer, x) if plain_layer else layer(x)  # type: ignore[arg-type]
    plain = gradients((x.permute(0, 2, 3, 1) - target).square().sum(), [decoder])
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        loss = squared_error(decoder(feature), target)
    tolerance = 1e-5 if precision == torch.float32 else 3e-2
    for found, expected in zip(gradients(loss, [decoder]), plain, strict=True):
        assert float((found - expected).norm() / expected.norm()) < tolerance
