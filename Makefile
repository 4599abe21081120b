# `make help` lists the targets. Everything lives in .venv; remove it to start anew.

# Any Python 3.10 to 3.13:  make sim PYTHON=python3.12
PYTHON ?= python3
# What `pip install` is told for torch; only training and the tests need it. The version is the one the
# tests run with. Machines differ in the build they should take: for CPU only, or for a certain CUDA, give
# the index that pytorch.org names for it, e.g. make test TORCH="torch --index-url URL"
TORCH ?= torch==2.13.0
SIM_ARGS ?= --task PointGoal1 --episodes 3 --seed 40000
# For pytest, e.g. make test TEST_ARGS="-k boundaries"
TEST_ARGS ?=
WORKERS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip -qq --disable-pip-version-check --no-input
SYSTEM_LIBS := libegl1 libopengl0 libgl1-mesa-dri

# A sourced ROS 2 must not leak into .venv, which has its own.
ifneq ($(AMENT_PREFIX_PATH),)
unexport LD_LIBRARY_PATH
endif
unexport AMENT_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH PYTHONHOME RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help setup setup-dev sim test colcon check format clean
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.setup  ## make .venv with everything that drives a simulated robot

setup-dev: $(VENV)/.setup-dev  ## add torch and the development tools

sim: $(VENV)/.egl  ## drive 3 episodes in simulation through the ROS 2 graph and write a report
	@$(VENV)/bin/safe-o2o sim $(SIM_ARGS)

test: $(VENV)/.setup-dev $(VENV)/colcon/.setup $(VENV)/.egl $(VENV)/.usb  ## run every test
	@echo "==> tests"
	@$(PY) -m pytest -q -n $(WORKERS) --dist loadfile $(TEST_ARGS)

colcon: $(VENV)/.setup-dev $(VENV)/colcon/.setup  ## build and install with colcon and pip, and test what comes out
	@$(PY) -m pytest -q test/test_package.py

check: $(VENV)/.setup-dev  ## lint, format, types and import boundaries
	@echo "==> lint and format"
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet --diff .
	@echo "==> types"
	@$(PY) -m mypy
	@echo "==> boundaries"
	@$(PY) -m pytest -q test/test_boundaries.py

format: $(VENV)/.setup-dev  ## put the code into the form that `check` wants, and write docs/parameters.md
	@$(PY) -m ruff check --quiet --fix . || true
	@$(PY) -m ruff format --quiet .
	@$(PY) -m safe_o2o_ros.nodes.parameters_page docs/parameters.md

clean:  ## remove .venv and build products
	rm -rf $(VENV) build dist install log *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.created: .ci/make_venv.sh
	@echo "==> virtual environment in $(VENV)"
	@.ci/make_venv.sh "$(PYTHON)" $(VENV)
	@touch $@

$(VENV)/.setup: $(VENV)/.created setup.py package.xml
	@echo "==> ROS 2 wheels, MuJoCo and ONNX Runtime (about 250 MB to download the first time)"
	@$(PIP) install -e ".[cpu,ros,sim]"
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup
	@echo "==> $(TORCH)"
	@$(PIP) install $(TORCH)
	@echo "==> training and development tools"
	@$(PIP) install -e ".[train,exact,bags,minari,realsense,dev]"
	@touch $@

$(VENV)/colcon/.setup: .ci/make_colcon.sh | $(VENV)/.setup-dev
	@echo "==> colcon"
	@.ci/make_colcon.sh $(PY) $(VENV)/colcon
	@touch $@

$(VENV)/.usb: $(VENV)/.setup-dev
	@$(PY) -c "import pyrealsense2" 2>/dev/null || { .ci/system_libs.sh libusb-1.0-0 && $(PY) -c "import pyrealsense2"; }
	@touch $@

$(VENV)/.egl: $(VENV)/.setup
	@$(PY) .ci/check_egl.py 2>/dev/null || { .ci/system_libs.sh $(SYSTEM_LIBS) && $(PY) .ci/check_egl.py; }
	@touch $@
