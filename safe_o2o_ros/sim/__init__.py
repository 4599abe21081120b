"""Simulated tasks as Gymnasium environments; importing this package registers their ids.

Importing it is cheap: MuJoCo is imported when the first environment is made.
"""

from gymnasium.envs.registration import register, registry

from safe_o2o_ros.sim.tasks import TASKS, env_id

for _task, _spec in TASKS.items():
    if env_id(_task) not in registry:
        register(
            env_id(_task),
            entry_point=_spec.entry_point,
            kwargs={"task": _task, "action_repeat": _spec.action_repeat},
            # The checker would wrap every step; test/sim runs it once instead.
            disable_env_checker=True,
        )
