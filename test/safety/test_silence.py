from safe_o2o_ros.safety.silence import Silence


def test_zeros_are_held_for_the_time_after_the_stop_then_silence():
    silence = Silence(hold_s=1.0)
    assert silence.speaks(standing=False, now_s=0.0)
    assert silence.speaks(standing=True, now_s=2.0)
    assert silence.speaks(standing=True, now_s=3.0)
    assert not silence.speaks(standing=True, now_s=3.1)


def test_a_robot_that_moves_again_is_spoken_to_again():
    silence = Silence(hold_s=1.0)
    silence.speaks(standing=True, now_s=0.0)
    assert not silence.speaks(standing=True, now_s=5.0)
    silence.moved()
    assert silence.speaks(standing=True, now_s=6.0)
    assert silence.speaks(standing=False, now_s=9.0)
    assert silence.speaks(standing=True, now_s=10.0)
