#!/bin/sh
# Finds the Debian packages that are missing and installs them. Arguments: groups (build, test, gpu).
# HSCHED_NO_INSTALL=1 only lists them and fails. Where there is a kit (make kit), which is made for machines
# without a network, packages that it holds count as installed, and so do tools that are there under any name.
set -eu

need="" may=""
for group in "$@"; do
    case $group in
    build) need="$need gcc libc6-dev make libopenblas-dev libdnnl-dev libprotobuf-c-dev
                 protobuf-c-compiler uthash-dev libjansson-dev libturbojpeg0-dev" ;;
    test)
        need="$need g++ pkg-config libcmocka-dev python3 python3-venv"
        may="libxnnpack-dev libpthreadpool-dev" # without, tests are skipped
        ;;
    gpu) need="$need libcmocka-dev python3 python3-venv" ;;
    *) echo "packages.sh: unknown group '$group'" >&2; exit 2 ;;
    esac
done

command -v dpkg-query >/dev/null 2>&1 || {
    echo "This is not a Debian or Ubuntu system. Install the equivalents of:" $need
    exit 0
}

installed() {
    dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed'
}

has_header() {
    printf '#include <%s>\n' "$1" | ${CC:-gcc} -E -x c - >/dev/null 2>&1
}

replaced_by_kit() {
    [ -f kit/packages ] || return 1
    case $1 in
    gcc | g++ | make | pkg-config | python3) command -v "$1" >/dev/null 2>&1 ;;
    libc6-dev) has_header stdio.h ;;
    libopenblas-dev) has_header cblas.h ;;
    python3-venv) python3 tests/setup/modules.py >/dev/null 2>&1 ;; # python.sh then makes none
    *) grep -qx "$1" kit/packages ;;
    esac
}

missing=""
for package in $need; do
    installed "$package" || replaced_by_kit "$package" || missing="$missing $package"
done
# Ubuntu names the JPEG library's headers differently.
case $missing in
*libturbojpeg0-dev*)
    if installed libturbojpeg-dev; then
        missing=$(echo "$missing" | sed 's/ libturbojpeg0-dev//')
    elif [ -z "$(apt-cache madison libturbojpeg0-dev 2>/dev/null)" ] &&
        [ -n "$(apt-cache madison libturbojpeg-dev 2>/dev/null)" ]; then
        missing=$(echo "$missing" | sed 's/libturbojpeg0-dev/libturbojpeg-dev/')
    fi ;;
esac

[ -n "$missing" ] || exit 0
echo "Debian packages missing:$missing"
if [ "${HSCHED_NO_INSTALL:-0}" = 1 ]; then
    echo "HSCHED_NO_INSTALL=1: nothing was installed. Install them with: apt-get install$missing"
    exit 1
fi
sudo=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        echo "Not root, and there is no sudo: ask the administrator to install them." >&2
        exit 1
    }
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
$sudo apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
echo "Installed."
# On a new machine these come along; none is asked for them later.
for package in $may; do
    installed "$package" ||
        $sudo apt-get install -y -qq --no-install-recommends "$package" >"$log" 2>&1 ||
        echo "$package could not be installed: tests that need it are skipped."
done
