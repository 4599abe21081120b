#!/bin/sh
# make_venv.sh PYTHON FOLDER: makes a fresh virtual environment, or says in one sentence why it cannot.
set -eu
python=$1 folder=$2
command -v "$python" >/dev/null || {
    echo "error: $python is not installed; install Python 3.10 or newer, or name one: make PYTHON=python3.12" >&2
    exit 1
}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $version in
    3.10 | 3.11 | 3.12 | 3.13) ;;
    *)
        echo "error: $python is Python $version, and the ROS 2 wheels exist for 3.10 to 3.13;" \
            "name one of these: make PYTHON=python3.12" >&2
        exit 1
        ;;
esac
if [ "$(uname -sm)" != "Linux x86_64" ]; then
    echo "error: ROS 2 wheels exist for Linux on x86-64 only; on $(uname -sm) use the distribution's ROS 2" \
        "and colcon (README)." >&2
    exit 1
fi
# Debian and Ubuntu ship Python without ensurepip, and venv then leaves a broken folder behind.
"$python" -c 'import ensurepip' 2>/dev/null || "$(dirname "$0")/system_libs.sh" "python$version-venv"
rm -rf "$folder"
exec "$python" -m venv "$folder"
