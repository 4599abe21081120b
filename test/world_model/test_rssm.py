"""The recurrent model: resets, gradients, and the deployed step against the training pass."""

import torch

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.model import LossScales, WorldModel
from safe_o2o_ros.world_model.rssm import RSSM, kl

CONFIG = ModelConfig(depth=2, deter=16, groups=3, classes=4, units=16)


def test_kl_by_hand():
    p = torch.tensor([[[0.5, 0.5]]]).log()
    q = torch.tensor([[[0.25, 0.75]]]).log()
    # 0.5 ln(0.5 / 0.25) + 0.5 ln(0.5 / 0.75) = 0.1438
    assert abs(float(kl(p, q)) - 0.14384) < 1e-5
    assert float(kl(p, p)) == 0.0


def test_samples_are_one_hot_and_carry_the_gradient_of_the_probabilities():
    torch.manual_seed(0)
    rssm = RSSM(CONFIG, embedding=5)
    logits = torch.zeros(2, 3, 4, requires_grad=True)
    log_probs = torch.log_softmax(logits, -1)
    sample = rssm.sample(log_probs)
    assert torch.allclose(sample.unflatten(-1, (3, 4)).sum(-1), torch.ones(2, 3), atol=1e-6)
    (sample * torch.arange(12.0)).sum().backward()
    assert logits.grad is not None and float(logits.grad.abs().sum()) > 0.0


def test_every_class_keeps_the_uniform_share():
    log_probs = RSSM(CONFIG, embedding=5)._log_probs(torch.tensor([[100.0, 0, 0, 0] * 3]))
    assert torch.allclose(log_probs.exp()[0, 0, 1:], torch.full((3,), 0.01 / 4))


def test_an_episode_start_forgets_state_and_action():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales()).eval()
    image = torch.randint(0, 256, (1, 64, 64, 6), dtype=torch.uint8)
    first = torch.ones(1, 1)
    blank = model.step(image, torch.zeros(1, 2), torch.zeros(1, CONFIG.state), first)
    used = model.step(image, torch.ones(1, 2), torch.ones(1, CONFIG.state), first)
    for a, b in zip(blank, used, strict=True):
        assert torch.equal(a, b)
    assert blank[2].item() == 0.0  # nothing was expected, so nothing surprises


def test_the_deployed_state_follows_the_action():
    torch.manual_seed(0)
    model = WorldModel(CONFIG, LossScales()).eval()
    image = torch.randint(0, 256, (1, 64, 64, 6), dtype=torch.uint8)
    state, later = torch.zeros(1, CONFIG.state), torch.zeros(1, 1)
    left = model.step(image, torch.tensor([[0.0, 1.0]]), state, later)[0]
    right = model.step(image, torch.tensor([[0.0, -1.0]]), state, later)[0]
    assert not torch.allclose(left, right)


def test_a_reset_inside_a_window_separates_what_follows_from_what_was_before():
    torch.manual_seed(0)
    rssm = RSSM(CONFIG, embedding=5).eval()
    embedding, action = torch.randn(1, 4, 5), torch.randn(1, 4, 2)
    is_first = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    other = embedding.clone()
    other[:, :2] += 1.0
    torch.manual_seed(1)
    a = rssm.observe(embedding, action, is_first)[2]
    torch.manual_seed(1)
    b = rssm.observe(other, action, is_first)[2]
    assert torch.equal(a[:, 2:], b[:, 2:]) and not torch.equal(a[:, :2], b[:, :2])
