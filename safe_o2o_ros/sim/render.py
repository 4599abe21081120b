"""Off-screen camera images. One renderer serves all episodes of an environment."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from safe_o2o_ros.sim.backend import mujoco, open_gl_context

Image = NDArray[np.uint8]

_MAX_GEOMS = 1000
_HIDDEN_GROUP = 5
"""A geom group that MuJoCo does not draw by default."""


_open: dict[int, list[Any]] = {}
"""OpenGL objects of every renderer that was not closed. Freed by the garbage collector instead, at a moment
of its choosing, they would take the current context away from a renderer that is just drawing."""
_number = itertools.count()


class Renderer:
    """Square RGB images of a model's fixed cameras, in an OpenGL context of its own."""

    def __init__(self, size: int) -> None:
        """Open an off-screen context for images of `size` x `size` pixels."""
        self._size = size
        self._gl: Any = open_gl_context(size)
        self._key = next(_number)
        _open[self._key] = [self._gl]
        self._option = mujoco.MjvOption()
        self._viewport = mujoco.MjrRect(0, 0, size, size)
        self._pixels = np.empty((size, size, 3), np.uint8)
        self._model: Any = None
        self._scene: Any = None
        self._context: Any = None
        self._cameras: dict[str, Any] = {}

    def bind(self, model: Any) -> None:
        """Load a model's textures; must be called before `image` and after every recompilation."""
        self._gl.make_current()
        if self._context is not None:
            self._context.free()
        model.vis.global_.offwidth = model.vis.global_.offheight = self._size
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        _open[self._key] = [self._gl, self._context]
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, _MAX_GEOMS)
        self._model = model
        self._cameras = {}

    def image(self, data: Any, camera: str, cull: bool = True) -> Image:
        """The view of a named camera, uint8 RGB, shape (size, size, 3), top row first.

        `cull` leaves out what cannot be seen; it changes the speed and no pixel.
        """
        # Several environments may take turns in one process, each with its own context.
        self._gl.make_current()
        groups = self._model.geom_group
        shown = groups.copy()
        if cull:
            groups[~in_view(self._model, data, camera)] = _HIDDEN_GROUP
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera(camera),
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        groups[:] = shown
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._viewport, self._context)
        return self._pixels[::-1].copy()

    def close(self) -> None:
        """Free the context; the renderer cannot be used afterwards."""
        if self._gl is None:
            return
        self._gl.make_current()
        if self._context is not None:
            self._context.free()
        self._gl.free()
        self._gl = self._context = None
        del _open[self._key]

    def _camera(self, name: str) -> Any:
        if name not in self._cameras:
            camera = mujoco.MjvCamera()
            camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            camera.fixedcamid = self._model.camera(name).id
            self._cameras[name] = camera
        return self._cameras[name]


def in_view(model: Any, data: Any, camera: str) -> NDArray[np.bool_]:
    """Geoms that a square image may show, directly or mirrored in the floor, shape (ngeom,).

    Software rendering spends most of its time on vertices, also of what lies outside the image;
    leaving those geoms out halves the time and changes no pixel. A geom is out of view if its
    bounding sphere, and its mirror image below z = 0, lie beyond one side of the view's pyramid.
    """
    index = model.camera(camera).id
    slope = np.tan(np.radians(model.cam_fovy[index]) / 2)
    margin = model.geom_rbound * np.sqrt(1 + slope * slope)
    shown = model.geom_rbound == 0  # planes
    for mirror in (1.0, -1.0):
        # Camera axes: x right, y up, z backwards.
        local = (data.geom_xpos * (1, 1, mirror) - data.cam_xpos[index]) @ data.cam_xmat[index].reshape(3, 3)
        across = np.abs(local[:, :2]).max(axis=1)
        shown |= across + slope * local[:, 2] <= margin
    return np.asarray(shown)
