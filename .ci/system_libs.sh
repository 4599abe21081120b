#!/bin/sh
# Installs Debian/Ubuntu packages: system_libs.sh PACKAGE...  Fails with the line to run where it may not.
set -u
if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi
if [ "$as_root" != no ] && command -v apt-get >/dev/null; then
    echo "==> installing system packages: $*"
    $as_root apt-get -qq update >/dev/null 2>&1
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null && exit 0
fi
echo "error: system packages are missing; install them with: sudo apt-get install -y $*" >&2
exit 1
