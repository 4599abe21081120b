"""What every test gets: one ROS domain per test process, checked message fields, one thread per library."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A shell ignores Ctrl-C for what it starts in the background, and children inherit that: tests that
# send SIGINT would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Set here, before any test module imports the libraries that read them; child processes inherit them.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# A busy machine is no failure, and what fails once must fail again.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def ros_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other test process on this machine has, set for the whole session."""
    domain_coordinator = pytest.importorskip(
        "domain_coordinator", reason="install ros-domain-coordinator: without it test graphs hear each other"
    )
    with domain_coordinator.domain_id() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        yield domain
