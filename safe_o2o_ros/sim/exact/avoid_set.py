"""Exact avoid sets on a grid, by level sets (hj-reachability; needed by tests and benchmarks only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.errors import MissingExtraError
from safe_o2o_ros.sim.exact import dubins

HORIZON_S = 3.0
"""Seconds after which nothing changes any more: a car has passed the disc or turned away."""


def dubins_value(nodes: int = 41) -> NDArray[np.float64]:
    """(nodes, nodes, nodes) value in metres on `dubins.grid`; a state is unsafe where it is not positive.

    V(s) = max over driving of the least margin ever (Hamilton-Jacobi-Isaacs, no disturbance). Raises
    MissingExtraError.
    """
    hj, jnp = _library()

    def ahead(state: Any) -> Any:
        return jnp.array([dubins.SPEED * jnp.cos(state[2]), dubins.SPEED * jnp.sin(state[2]), 0.0])

    car = _system(ahead, np.array([[0.0], [0.0], [1.0]]), dubins.TURN_RATE)
    half = dubins.HALF_WIDTH
    domain = hj.sets.Box(np.array([-half, -half, 0.0]), np.array([half, half, 2.0 * np.pi]))
    lattice = hj.Grid.from_lattice_parameters_and_boundary_conditions(
        domain, (nodes, nodes, nodes), periodic_dims=2
    )
    return _solve(car, lattice, dubins.margin(np.asarray(lattice.states, np.float64)), HORIZON_S)


def braking_value(position: NDArray[np.float64], speed: NDArray[np.float64], brake: float) -> Any:
    """(P, S) value in metres of a mass that must not pass 0, on even grids of position and speed.

    `brake`: its largest acceleration either way, m/s^2. Raises MissingExtraError.
    """
    hj, jnp = _library()
    mass = _system(lambda state: jnp.array([state[1], 0.0]), np.array([[0.0], [1.0]]), brake)
    domain = hj.sets.Box(np.array([position[0], speed[0]]), np.array([position[-1], speed[-1]]))
    lattice = hj.Grid.from_lattice_parameters_and_boundary_conditions(domain, (len(position), len(speed)))
    margin = -np.asarray(lattice.states, np.float64)[..., 0]
    horizon_s = float(np.abs(speed).max()) / brake
    return _solve(mass, lattice, margin, horizon_s)


def _system(drift: Callable[[Any], Any], control: NDArray[np.float64], most: float) -> Any:
    """x' = drift(x) + control u with |u| <= most, steered away from what must be avoided; undisturbed."""
    hj, jnp = _library()

    class System(hj.dynamics.ControlAndDisturbanceAffineDynamics):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            bound, none = np.array([most]), np.zeros(1)
            super().__init__("max", "min", hj.sets.Box(-bound, bound), hj.sets.Box(none, none))

        def open_loop_dynamics(self, state: Any, time: Any) -> Any:
            return drift(state)

        def control_jacobian(self, state: Any, time: Any) -> Any:
            return jnp.array(control)

        def disturbance_jacobian(self, state: Any, time: Any) -> Any:
            return jnp.zeros_like(control)

    return System()


def _solve(system: Any, lattice: Any, margin: NDArray[np.float64], horizon_s: float) -> NDArray[np.float64]:
    hj, _ = _library()
    settings = hj.SolverSettings.with_accuracy(
        "very_high", hamiltonian_postprocessor=hj.solver.backwards_reachable_tube
    )
    value = hj.step(settings, system, lattice, 0.0, margin, -horizon_s, progress_bar=False)
    return np.asarray(value, np.float64)


def _library() -> tuple[Any, Any]:
    try:
        import hj_reachability
        import jax.numpy
    except ImportError as error:
        raise MissingExtraError(
            "exact avoid sets need hj-reachability: run `pip install safe_o2o_ros[exact]`"
        ) from error
    return hj_reachability, jax.numpy
