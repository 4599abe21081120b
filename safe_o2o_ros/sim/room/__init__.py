"""RoomNav: a velocity-driven base that finds a goal in a furnished room.

layout.py (what stands where) -> scene.py (MuJoCo) -> geodesic.py (path lengths) -> env.py (rewards, costs).
"""
