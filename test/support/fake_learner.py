"""A learner that learns nothing: speaks the protocol of online/worker.py, reads the store, resumes.

`python fake_learner.py [die=N] [refuse] [mute] CONFIG.json`: die=N ends badly at every N-th update from its
start; refuse ends with code 2; mute ignores stdin's end and every word.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path

from safe_o2o_ros.data.experience import ExperienceReader


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main() -> int:
    *modes, path = sys.argv[1:]
    config = json.loads(Path(path).read_text())
    work = Path(config["work_dir"])
    if "refuse" in modes:
        say(event="error", text="torch is not installed: run pip install 'safe_o2o_ros[train]'")
        return 2
    die = next((int(m.removeprefix("die=")) for m in modes if m.startswith("die=")), 0)
    checkpoint = work / "update.txt"
    update = int(checkpoint.read_text()) if checkpoint.exists() else 0
    reader, newest, transitions = ExperienceReader(Path(config["experience"])), -1, 0
    started, paused = update, False
    environment = {k: os.environ.get(k) for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    (work / "seen.json").write_text(json.dumps({"config": config, "environment": environment, "nice": nice}))
    say(event="ready", update=update)
    while True:
        ready = [] if "mute" in modes else select.select([sys.stdin], [], [], 0.02)[0]
        if "mute" in modes:
            select.select([], [], [], 0.02)
        if ready:
            line = sys.stdin.readline()
            word = line.strip()
            if not line or word == "stop":
                return 0
            if word in ("pause", "resume"):
                paused = word == "pause"
                say(event="waiting", text="paused") if paused else say(event="ready", update=update)
            if word == "package":
                made = work / f"candidate-{update}"
                made.mkdir(exist_ok=True)
                (made / "manifest.json").write_text(json.dumps({"version": f"fake-{update}"}))
                say(event="candidate", path=str(made), version=f"fake-{update}", update=update)
        if paused:
            continue
        for identity, piece in reader.new_since(newest):
            newest, transitions = identity, transitions + len(piece)
        update += 1
        draft = work / "update.tmp"
        draft.write_text(str(update))
        draft.replace(checkpoint)
        say(event="progress", update=update, transitions=transitions, losses={"reward": 1.0 / update})
        if die and update - started >= die:
            print("Traceback: made to die", file=sys.stderr, flush=True)
            os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
