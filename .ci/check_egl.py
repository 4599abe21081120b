"""Exits 0 if MuJoCo can draw without a screen; otherwise says why in one line and exits 1."""

import os
import sys

os.environ["MUJOCO_GL"] = "egl"


def main() -> int:
    # PyOpenGL turns a missing library into whichever of these its loader meets first.
    try:
        import mujoco

        context = mujoco.GLContext(8, 8)
    except (ImportError, AttributeError, OSError, RuntimeError) as error:
        print(f"error: MuJoCo cannot draw through EGL ({error})", file=sys.stderr)
        return 1
    context.free()
    return 0


if __name__ == "__main__":
    sys.exit(main())
