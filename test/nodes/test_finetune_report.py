"""What finetune_node says of itself."""

from __future__ import annotations

from support.driving import Drive
from support.pieces import open_store

from safe_o2o_ros.errors import StoreError
from safe_o2o_ros.nodes.finetune_report import finetune_report
from safe_o2o_ros.online.recording import Recorder
from safe_o2o_ros.online.worker import WorkerStatus
from safe_o2o_ros.types import Level


def test_it_accounts_for_every_transition_and_tells_how_the_learner_is(tmp_path):
    drive = Drive(steps=3)
    for _ in range(9):
        drive.period()
    recorder = Recorder(lambda: open_store(tmp_path))
    for piece in drive.pieces:
        recorder.offer(piece)
    recorder.close(30.0)
    learner = WorkerStatus("running", "", 7, 12, 6, {"reward": 0.25}, 1)
    level, text, values = finetune_report(drive.joiner, recorder, learner, 1)
    assert (level, text) == (Level.OK, "ok")
    assert (values["transitions"], values["stored"], values["pending"]) == (8, 6, 2)
    assert (values["learner"], values["learner_update"], values["loss_reward"]) == ("running", 12, "0.25")
    assert finetune_report(drive.joiner, recorder, None, 1)[2]["learner"] == "off"


def test_a_learner_that_does_not_run_is_a_warning_and_a_full_disk_an_error(tmp_path):
    def full():
        raise StoreError("the disk is full")

    recorder = Recorder(full, retry_s=0.01)
    while not recorder.problem:
        pass
    joiner, dead = Drive().joiner, WorkerStatus("restarting", "the learner was killed by signal 9")
    level, text, _ = finetune_report(joiner, recorder, dead, -1)
    assert (level, text) == (Level.ERROR, "nothing is recorded: the disk is full")
    recorder.problem = ""
    assert finetune_report(joiner, recorder, dead, -1)[:2] == (Level.WARN, dead.text)
    recorder.close(30.0)
