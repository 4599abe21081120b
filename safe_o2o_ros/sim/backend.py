"""The one place MuJoCo is imported from, so that its graphics backend is chosen first."""

import os
from typing import Any

from safe_o2o_ros.errors import MissingExtraError

# MuJoCo reads this once, when it is imported.
os.environ.setdefault("MUJOCO_GL", "egl")
# Mesa's software renderer in the calling thread: at 64 x 64 its worker threads cost more than they
# bring, and collection runs one process per core. Changes no pixel.
os.environ.setdefault("LP_NUM_THREADS", "0")

try:
    import mujoco
except ModuleNotFoundError as error:
    raise MissingExtraError("MuJoCo is not installed; run `pip install mujoco`.") from error
except (ImportError, AttributeError, OSError, RuntimeError) as error:
    # AttributeError: what PyOpenGL raises, already on import, where libEGL is not installed.
    raise MissingExtraError(
        f"MuJoCo cannot load its graphics with MUJOCO_GL={os.environ['MUJOCO_GL']}; "
        f"run `sudo apt-get install libegl1` ({error})."
    ) from error

__all__ = ["mujoco", "open_gl_context"]


def open_gl_context(size: int) -> Any:
    """An off-screen OpenGL context for images of `size` x `size` pixels.

    Raises MissingExtraError where the graphics library is missing or gives no context.
    """
    try:
        if os.environ["MUJOCO_GL"] == "egl":
            # Not mujoco.GLContext: who imported MuJoCo before this module may have got another backend.
            from mujoco.egl import GLContext

            return GLContext(size, size)
        return mujoco.GLContext(size, size)
    except (ImportError, AttributeError, TypeError, OSError, RuntimeError) as error:
        raise MissingExtraError(
            f"No off-screen OpenGL context with MUJOCO_GL={os.environ['MUJOCO_GL']}; "
            f"run `sudo apt-get install libegl1` ({error})."
        ) from error
