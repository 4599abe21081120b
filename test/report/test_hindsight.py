"""What a shadow would have changed, and whether it was right, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from safe_o2o_ros.report.hindsight import HORIZON_S, in_words, shadow_counts, shadow_summary


def episode(cost: str, would: str) -> Any:
    """Costs as digits; would-be reasons: "." pass, "s" substitute."""
    words = {".": "pass", "s": "substitute"}
    return SimpleNamespace(
        period_s=HORIZON_S / 3,
        cost=np.array([float(c) for c in cost]),
        would=[words[w] for w in would],
    )


def test_costs_justify_changes_before_them_and_changes_foresee_violations() -> None:
    # Three periods ahead. Changes at 1 (a cost at 3: right), 4 (inside, not judged), 6 (nothing follows).
    counts = shadow_counts(episode("0001100000", ".s..s.s..."))
    assert counts == {
        "ticks": 10, "changes": 3, "judged": 2, "justified": 1, "violations": 1, "foreseen": 1,
    }  # fmt: skip
    blind = shadow_counts(episode("0001100010", ".........."))
    assert (blind["violations"], blind["foreseen"], blind["changes"]) == (2, 0, 0)
    both = shadow_summary([counts, blind])
    assert both["changes_per_100"] == pytest.approx(15.0) and both["justified_share"] == 0.5
    assert both["violations"] == 3 and both["foreseen_share"] == pytest.approx(1 / 3)
    assert "15.0 of 100 commands" in in_words(both) and "33 % of 3 violations" in in_words(both)


def test_where_nothing_happened_nothing_is_claimed() -> None:
    quiet = shadow_summary([shadow_counts(episode("0000", "...."))])
    assert quiet["justified_share"] is None and quiet["foreseen_share"] is None
    assert "none" in in_words(quiet)
