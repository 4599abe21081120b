#!/bin/sh
# make_colcon.sh PYTHON FOLDER: colcon in a virtual environment of its own, which sees the packages of PYTHON.
# Of its own, since colcon needs an older setuptools than other tools may want.
set -eu
python=$1 folder=$2
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip -qq --disable-pip-version-check --no-input install \
    colcon-core colcon-ros colcon-python-setup-py colcon-package-information colcon-package-selection \
    'setuptools<80' 2>"$folder/pip.log" || {
    echo "error: colcon cannot be installed ($(tail -n 1 "$folder/pip.log")); is there a network? It comes from PyPI." >&2
    exit 1
}
# A line of a .pth file adds a folder, as a sourced ROS 2 would: the nodes that colcon installs find rclpy there.
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
    >"$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages.pth"
