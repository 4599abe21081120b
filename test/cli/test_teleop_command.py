"""`safe-o2o teleop` becomes the keyboard node, and says so where it cannot."""

from safe_o2o_ros.cli.main import main


def test_without_a_terminal_the_keyboard_is_refused_in_one_sentence(capsys, monkeypatch):
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert main(["teleop"]) == 2
    assert capsys.readouterr().err.startswith("error: teleop reads keys, but its input is no terminal")
