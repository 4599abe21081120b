"""Picture statistics by hand, the distance, repeated frames, and data support."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from safe_o2o_ros.world_model.config import ModelConfig
from safe_o2o_ros.world_model.layers import MLP, of_each
from safe_o2o_ros.world_model.novelty import HUES, Novelty, PictureStatistics, Repeats
from safe_o2o_ros.world_model.support import Support
from safe_o2o_ros.world_model.vision import normalise


def flat(red: int, green: int, blue: int) -> torch.Tensor:
    """A picture of one colour."""
    return normalise(torch.tensor([red, green, blue], dtype=torch.uint8).expand(1, 64, 64, 3).contiguous())


def test_statistics_of_plain_pictures() -> None:
    statistics = PictureStatistics(3)
    grey, red = statistics(flat(128, 128, 128))[0], statistics(flat(255, 0, 0))[0]
    assert grey[:3].tolist() == pytest.approx([128 / 255 - 0.5] * 3, abs=1e-6)
    assert grey[3:6].tolist() == [0.0] * 3  # no contrast
    assert grey[6:12].tolist() == pytest.approx([np.log(1e-5)] * 6)  # no edges
    assert grey[12:].tolist() == pytest.approx([np.log(1e-3)] * HUES)  # no hue
    # Red has chroma 2/3 in hue 0, and cos(30 deg)^8 of it in the hues next to it.
    hues = red[12:].exp() - 1e-3
    assert float(hues[0]) == pytest.approx(2 / 3, rel=1e-4)
    assert float(hues[1]) == pytest.approx(2 / 3 * np.cos(np.pi / 6) ** 8, rel=1e-3)
    assert float(hues[HUES // 2]) == pytest.approx(0.0, abs=1e-6)


def test_stripes_have_the_energy_of_their_steps() -> None:
    image = torch.zeros(1, 64, 64, 3)
    image[:, :, ::2] = 0.5  # every step across is +-0.5, every second difference +-1
    statistics = PictureStatistics(3)(image)[0]
    assert statistics[6:9].tolist() == pytest.approx([np.log(0.25)] * 3, rel=1e-3)
    assert statistics[9:12].tolist() == pytest.approx([np.log(1.0)] * 3, abs=1e-3)


def test_the_distance_is_one_on_what_it_was_fitted_to_and_large_beside_it() -> None:
    generator = torch.Generator().manual_seed(0)
    images = normalise(torch.randint(0, 255, (400, 16, 16, 3), dtype=torch.uint8, generator=generator))
    embeddings = torch.randn(400, 8, generator=generator)
    novelty = Novelty(3, nn.Linear(8, 4), 4)
    with torch.no_grad():
        novelty.fit(novelty.look(images, embeddings))
        ordinary = novelty(images, embeddings)
        assert float(ordinary.square().mean()) == pytest.approx(1.0, abs=0.1)
        assert float(novelty(0.5 * images, embeddings).min()) > 3.0 * float(ordinary.max())
        assert float(novelty(images, embeddings + 50.0).min()) > 3.0 * float(ordinary.max())


def test_a_camera_repeats_itself_only_while_the_robot_is_moved() -> None:
    repeats = Repeats(6)
    a, b = torch.rand(1, 64, 64, 6) - 0.5, torch.rand(1, 64, 64, 6) - 0.5
    one_stuck = torch.cat([a[..., :3], b[..., 3:]], -1)
    before = repeats.thumbnails(a)
    moved, still = torch.tensor([[0.0, -0.4]]), torch.tensor([[0.01, 0.0]])
    said = [
        float(repeats(repeats.thumbnails(image), before, action))
        for image, action in ((a, moved), (one_stuck, moved), (b, moved), (a, still))
    ]
    assert said == [1.0, 1.0, 0.0, 0.0]
    assert repeats.size == before.shape[1] == 96


def test_support_learns_where_the_data_was_driven() -> None:
    torch.manual_seed(0)
    config = ModelConfig(depth=4, deter=32, groups=4, classes=4, units=32, percept=16)
    support = Support(config)
    optimiser = torch.optim.Adam(support.parameters(), lr=3e-3)
    for _ in range(300):
        feature = torch.randn(256, config.feature)
        driven = torch.rand(256, 2) * torch.tensor([1.0, 2.0]) - torch.tensor([0.0, 1.0])  # never backwards
        loss = support.loss(feature, driven, 2.0 * torch.rand(256, 2) - 1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    feature = torch.randn(64, config.feature)
    with torch.no_grad():
        ahead, back = (support(feature, torch.tensor([[x, 0.0]]).expand(64, -1)) for x in (0.5, -0.5))
    # Ahead p = 1/2 against 1/4 of the even spread: 2/3. Backwards 0.
    assert float(ahead.mean()) == pytest.approx(2 / 3, abs=0.1) and float(back.mean()) < 0.1


def test_what_is_shared_meets_the_first_layer_once_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    net = MLP(12, 3, 16, layers=2)
    shared, each = torch.randn(2, 9), torch.randn(2, 5, 3)
    whole = net(torch.cat([shared.unsqueeze(1).expand(-1, 5, -1), each], -1))
    assert torch.allclose(of_each(net, shared, each), whole, atol=1e-5)
