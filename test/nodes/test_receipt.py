"""Times of receipt keep their order, also when the system clock is set."""

from __future__ import annotations

import time

from safe_o2o_ros.nodes.receipt import ReceiptClock


def test_the_order_of_receipt_is_kept_to_the_nanosecond():
    clock, received = ReceiptClock(), time.time_ns() - 5_000
    times = [clock.at_ns({"received_timestamp": received + k}) for k in (0, 1, 3, 2)]
    assert [t - times[0] for t in times] == [0, 1, 3, 2]
    assert abs(time.monotonic_ns() - times[0]) < 1_000_000_000


def test_a_system_clock_that_is_set_does_not_move_steady_time(monkeypatch):
    clock, now = ReceiptClock(), time.time_ns
    before = clock.at_ns({"received_timestamp": now()})
    monkeypatch.setattr(time, "time_ns", lambda: now() - 3600 * 10**9)
    after = clock.at_ns({"received_timestamp": time.time_ns()})
    assert 0 <= after - before < 10**9


def test_a_middleware_that_does_not_tell_gets_the_time_of_the_call():
    before = time.monotonic_ns()
    assert before <= ReceiptClock().at_ns({"received_timestamp": None}) <= time.monotonic_ns()
