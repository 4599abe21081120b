"""Where the goal may still stand, and from where to look for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.demonstrators.room.grid import CELL_M, RoomMap, Way
from safe_o2o_ros.sim.demonstrators.room.sight import GOAL_RADIUS_M, HIDING_M, in_view
from safe_o2o_ros.sim.room.state import FloatArray, RoomState

_STRIDE = 4
"""Nodes of the map between two places that are looked at."""
_SAMPLES = 28
_STAND_M = 0.28
"""Clearance of a place worth driving to for looking, m."""
_WORTH = 4
"""Places that must come into sight for a drive or a look round to be worth it."""
_PAUSE_M = 1.0
"""What a look round costs, in metres of way: far places must show more than near ones."""


class Search:
    """Floor seen so far. Places are on a coarse grid, where the goal has room to stand."""

    def __init__(self, room: RoomMap, state: RoomState) -> None:
        """Nothing has been seen."""
        self._room = room
        tall = RoomMap(state.half_size, [o for o in state.obstacles if o.height_m > HIDING_M])
        self._blocking = tall.clearance < 0.0
        coarse = (slice(None, None, _STRIDE), slice(None, None, _STRIDE))
        clearance, nodes = room.clearance[coarse].ravel(), room.nodes[coarse].reshape(-1, 2)
        self.places = nodes[clearance > GOAL_RADIUS_M]
        """Where the goal may stand, (n, 2), m."""
        self.unseen = np.ones(len(self.places), np.bool_)
        """(n,)"""
        self._stands = nodes[clearance > _STAND_M]
        self._table: NDArray[np.bool_] | None = None

    def look(self, state: RoomState) -> None:
        """Take in what the cameras see now."""
        left = np.flatnonzero(self.unseen)
        left = left[in_view(state, self.places[left])]
        if len(left):
            seen = self._sees(np.asarray(state.position)[None], self.places[left])[0]
            self.unseen[left[seen]] = False

    def worth_turning(self, position: FloatArray) -> bool:
        """Whether a turn in place would show enough."""
        left = self.places[self.unseen]
        return len(left) > 0 and int(self._sees(position[None], left).sum()) >= _WORTH

    def shows(self, stand: FloatArray) -> int:
        """How many unseen places a look round at `stand`, (2,), would show."""
        left = self.places[self.unseen]
        return int(self._sees(stand[None], left).sum()) if len(left) else 0

    def next_stand(self, ways_home: Way) -> FloatArray | None:
        """The place to look from next, (2,), m; None where there is none. `ways_home`: ways to the robot."""
        if self._table is None:
            self._table = self._sees(self._stands, self.places)
        if np.count_nonzero(self.unseen) < _WORTH:
            self.unseen[:] = True  # it was overlooked: once more from the start
        shown = (self._table & self.unseen).sum(axis=1)
        far = np.array([ways_home.cost[self._room.node_of(p)] for p in self._stands])
        worth = np.where(shown >= _WORTH, shown / (far + _PAUSE_M), 0.0)
        best = int(np.argmax(worth))
        return self._stands[best] if worth[best] > 0.0 else None

    def _sees(self, eyes: FloatArray, points: FloatArray) -> NDArray[np.bool_]:
        """Whether a line from each eye, (m, 2), reaches each point, (n, 2); shape (m, n)."""
        share = np.linspace(0.0, 1.0, _SAMPLES)[1:-1]
        seen = np.empty((len(eyes), len(points)), np.bool_)
        half = self._room.nodes[0, 0]
        limit = np.array(self._blocking.shape) - 1
        ends = (points - half) / CELL_M
        for row, eye in enumerate((eyes - half) / CELL_M):
            line = eye + share[:, None, None] * (ends - eye)
            cell = np.clip(np.rint(line).astype(np.intp), 0, limit)
            seen[row] = ~self._blocking[cell[..., 0], cell[..., 1]].any(axis=0)
        return seen
