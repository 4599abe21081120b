"""Each loss against numbers worked out by hand."""

import math

import pytest
import torch

from safe_o2o_ros.learning import losses


def test_expectile_weighs_positive_errors_by_tau_and_negative_ones_by_the_rest():
    error = torch.tensor([2.0, -2.0])
    assert losses.expectile(error, 0.8).tolist() == pytest.approx([0.8 * 4.0, 0.2 * 4.0])


@pytest.mark.parametrize(("tau", "expected"), [(0.5, 0.5), (0.8, 0.8), (0.2, 0.2)])
def test_expectile_of_a_fair_coin_is_tau(tau, expected):
    # For targets 0 and 1 the minimiser m solves tau (1 - m) = (1 - tau) m, so m = tau: the upper side
    # of the targets for tau > 1/2, the lower for tau < 1/2.
    grid = torch.linspace(0.0, 1.0, 1001)
    loss = losses.expectile(1.0 - grid, tau) + losses.expectile(0.0 - grid, tau)
    assert float(grid[loss.argmin()]) == pytest.approx(expected, abs=1e-3)


def test_harm_is_one_where_it_cost_and_grows_as_a_miss_gets_nearer():
    cost = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])
    margin = torch.tensor([0.5, 0.08, 0.02, -0.01, float("nan")])
    label = losses.harm(cost, margin, near_m=0.08, near_risk=0.4)
    torch.testing.assert_close(label, torch.tensor([1.0, 0.0, 0.3, 0.4, 0.0]))
    assert losses.harm(cost, margin, near_m=0.0, near_risk=0.4).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_reachability_target_is_one_in_a_violation_and_the_discounted_future_elsewhere():
    label = torch.tensor([0.0, 1.0, 0.0, 0.0])
    cont = torch.tensor([1.0, 1.0, 0.0, 1.0])
    following = torch.tensor([0.5, 0.1, 0.9, 0.0])
    target = losses.reachability_target(label, cont, following, gamma=0.9)
    assert target.tolist() == pytest.approx([0.45, 1.0, 0.0, 0.0])


def test_reachability_label_comes_from_the_observed_cost_alone():
    # The network calls the next state certain doom; without a cost that is discounted, never a label 1.
    target = losses.reachability_target(torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([1.0]), 0.97)
    assert float(target) == pytest.approx(0.97)


def test_td_target_bootstraps_over_a_time_limit_and_not_over_a_termination():
    target = losses.td_target(
        torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]), torch.tensor([10.0, 10.0]), 0.9
    )
    assert target.tolist() == pytest.approx([10.0, 1.0])


def test_lambda_returns_by_hand():
    reward, cont = torch.tensor([[1.0, 2.0]]), torch.ones(1, 2)
    values = torch.tensor([[10.0, 20.0]])
    # R_1 = 2 + 0.5 * 20 = 12; R_0 = 1 + 0.5 * (0.25 * 10 + 0.75 * 12) = 1 + 0.5 * 11.5 = 6.75
    returns = losses.lambda_returns(reward, cont, values, gamma=0.5, lam=0.75)
    assert returns.tolist()[0] == pytest.approx([6.75, 12.0])


def test_lambda_returns_stop_at_a_termination():
    returns = losses.lambda_returns(
        torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[10.0, 20.0]]), 0.5, 0.75
    )
    assert returns.tolist()[0] == pytest.approx([1.0, 12.0])


def weights(advantage=0.0, risk_q=0.0, risk_v=0.0, advantage_c=0.0):
    def tensor(x):
        return torch.tensor([float(x)])

    return float(
        losses.awr_weights(
            tensor(advantage),
            tensor(risk_q),
            tensor(risk_v),
            tensor(advantage_c),
            threshold=0.3,
            beta_r=0.5,
            beta_h=0.1,
            beta_c=2.0,
            clip=3.0,
        )
    )


def test_a_rewarding_action_that_leaves_the_feasible_set_is_not_imitated():
    assert weights(advantage=100.0, risk_q=0.31, risk_v=0.1) == 0.0


def test_feasible_weight_is_the_exponential_of_the_clipped_reward_advantage():
    assert weights(advantage=0.5) == pytest.approx(math.e)
    assert weights(advantage=100.0) == pytest.approx(math.exp(3.0))


def test_infeasible_weight_prefers_what_lowers_the_risk_and_then_the_cost():
    assert weights(risk_q=0.8, risk_v=0.9) == pytest.approx(math.e)
    # Inside a violation the risk is 1 for every action: the cost advantage alone ranks the escapes.
    assert weights(risk_q=1.0, risk_v=1.0, advantage_c=2.0) == pytest.approx(math.e)
    assert weights(risk_q=1.0, risk_v=1.0, advantage_c=-2.0) == pytest.approx(1.0 / math.e)


def test_on_the_way_into_a_hazard_only_what_lowers_the_risk_is_imitated():
    assert weights(advantage=100.0, risk_q=0.6, risk_v=0.5) == 0.0
    assert weights(risk_q=0.5, risk_v=0.5) == pytest.approx(1.0)
