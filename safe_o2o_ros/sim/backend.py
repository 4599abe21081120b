"""The one place MuJoCo is imported from, so that its graphics backend is chosen first."""

import os

from safe_o2o_ros.errors import MissingExtraError

# MuJoCo reads this once, when it is imported.
os.environ.setdefault("MUJOCO_GL", "egl")
# Mesa's software renderer in the calling thread: at 64 x 64 its worker threads cost more than they
# bring, and collection runs one process per core. Changes no pixel.
os.environ.setdefault("LP_NUM_THREADS", "0")

try:
    import mujoco
except (ImportError, AttributeError, OSError) as error:
    # AttributeError: what PyOpenGL raises where the EGL library itself is missing.
    raise MissingExtraError(
        f"MuJoCo cannot start its graphics backend ({error}); "
        "run `sudo apt-get install libegl1` and `pip install mujoco`."
    ) from error

__all__ = ["mujoco"]
