"""A change of bundle in lockstep: at the frame asked for, with everything carried over, every time."""

import itertools

import gymnasium
import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Image
from support.probe import probing, running
from support.swapping import NODES, Offerer, write_family

import safe_o2o_ros.sim  # noqa: F401  registers the tasks
from safe_o2o_ros.bundle import load_bundle
from safe_o2o_ros.graph import DeployOptions, deployment
from safe_o2o_ros.nodes import conversions, qos
from safe_o2o_ros.perception.encoder import RecurrentEncoder
from safe_o2o_ros.perception.preprocess import stack
from safe_o2o_ros.policy.policy import ExpansionPolicy
from safe_o2o_ros.report.log import EpisodeLog
from safe_o2o_ros.safety.bundled import bundle_filter, knowledge
from safe_o2o_ros.safety.filter import FilterConfig, FilterInputs
from safe_o2o_ros.sim.tasks import env_id
from safe_o2o_ros.types import FrameSet

PERIODS, SEED, CHANGE = 24, 40_000, 10
PERIOD_NS = 80_000_000


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return write_family(tmp_path_factory.mktemp("bundles"), proposals=2, risk_threshold=0.35)


def drive_directly(first, second):
    """One loop without ROS; the frame number CHANGE is the first of `second`."""
    bundles = [load_bundle(first), load_bundle(second)]
    manifest = bundles[0].manifest
    env = gymnasium.make(
        env_id(manifest.task), cameras=manifest.image.cameras, action_repeat=manifest.action_repeat
    )
    encoders, policies = [RecurrentEncoder(b) for b in bundles], [ExpansionPolicy(b) for b in bundles]
    safety = bundle_filter(bundles[0], FilterConfig(brake_dt_s=manifest.period_s))
    safety.hold(knowledge(bundles[1]))
    states, chosen = [e.initial() for e in encoders], policies[0].initial()
    observation, _ = env.reset(seed=SEED)
    executed, actions, versions = manifest.adapter.zero(), [], []
    for number in range(1, PERIODS + 1):
        frames = FrameSet(number, stack(observation, manifest.image.cameras, 64, 64))
        # Both see every frame: the second is then where it would be if it had driven all the time.
        steps = [e.step(s, frames, executed) for e, s in zip(encoders, states, strict=True)]
        states = [state for state, _ in steps]
        which = int(number >= CHANGE)
        chosen, proposal = policies[which].step(chosen, steps[which][1])
        decision = safety.decide(FilterInputs(True, steps[which][1], proposal))
        executed = decision.action
        observation, *_ = env.step(executed)
        actions.append(executed)
        versions.append(decision.version)
    env.close()
    return np.stack(actions), versions


def drive(first, second, folder):
    options = DeployOptions(
        sim=True, lockstep=True, bundle=str(first), seed=SEED, episodes=1, max_periods=PERIODS,
        record_dir=str(folder),
    )  # fmt: skip
    graph = deployment(options)
    with probing() as probe, running(graph, *NODES) as nodes:
        hand = Offerer(probe)
        hand.meet()
        offer = hand.offer(second, from_ns=CHANGE * PERIOD_NS)
        hand.until_acked(offer)
        nodes.start("sim_node")
        process = nodes.process("sim_node")
        probe.until(lambda: process.poll() is not None, "the end of the episode")
        assert process.returncode == 0, process.stderr.read()
        assert hand.active.version == offer.version
        assert hand.active.previous.path == str(first)
    (log,) = [EpisodeLog.load(path) for path in folder.glob("*.npz")]
    return log


@pytest.mark.parametrize("second", ["b", "c"])
def test_the_bundle_changes_at_its_frame_with_all_state_carried_or_found_again(family, second, tmp_path):
    expected, versions = drive_directly(family["a"], family[second])
    assert versions == ["tiny-a"] * (CHANGE - 1) + [f"tiny-{second}"] * (PERIODS - CHANGE + 1)
    never, _ = drive_directly(family["a"], family["a"])
    assert not np.array_equal(expected, never)
    for run in ("first", "second"):
        log = drive(family["a"], family[second], tmp_path / run)
        assert np.array_equal(log.executed, expected)


def test_one_change_after_the_other_and_every_frame_has_one_answer(family, tmp_path):
    # On a busy machine frames are far apart: a deadline would be answered, too.
    (tmp_path / "patient.yaml").write_text(
        "/**/safety_filter_node:\n  ros__parameters:\n    image_timeout: 10.0\n"
    )
    options = DeployOptions(
        sim=True, lockstep=True, bundle=str(family["a"]), seed=SEED, episodes=10,
        params_file=str(tmp_path / "patient.yaml"),
    )  # fmt: skip
    names = "bcacba"
    with probing() as probe, running(deployment(options), *NODES) as nodes:
        executed = probe.listen(TwistStamped, "executed_cmd", qos.series(True))
        latents = probe.listen(Image, "latent", qos.series(True))
        hand = Offerer(probe)
        hand.meet()
        nodes.start("sim_node")
        for name in names:
            seen = len(latents)
            probe.until(lambda n=seen: len(latents) >= n + 5, "five more frames")
            hand.until_active(hand.offer(family[name]).version)
        seen = len(latents)
        probe.until(lambda: len(latents) >= seen + 5, "five more frames")
    # Before the first frame the filter brakes, with the stamp 0.
    stamps = [conversions.from_time(m.header.stamp) // PERIOD_NS for m in executed]
    answered = [stamp for stamp in stamps if stamp > 0]
    assert answered == list(range(1, len(answered) + 1))
    versions = [version for version, _ in itertools.groupby(m.header.frame_id for m in latents)]
    assert versions == [f"tiny-{name}" for name in ("a", *names)]
