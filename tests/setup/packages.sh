#!/bin/sh
# Finds the Debian packages that are missing and installs them. Arguments: groups (build, test).
# HSCHED_NO_INSTALL=1 only lists them and fails.
set -eu

need=""
for group in "$@"; do
    case $group in
    build) need="$need gcc libc6-dev make pkg-config libopenblas-dev libdnnl-dev libprotobuf-c-dev
                 protobuf-c-compiler uthash-dev libjansson-dev libturbojpeg0-dev" ;;
    test) need="$need g++ libcmocka-dev python3 python3-venv" ;;
    *) echo "packages.sh: unknown group '$group'" >&2; exit 2 ;;
    esac
done

command -v dpkg-query >/dev/null 2>&1 || {
    echo "This is not a Debian or Ubuntu system. Install the equivalents of:" $need
    exit 0
}

missing=""
for package in $need; do
    dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' ||
        missing="$missing $package"
done
# Ubuntu names the JPEG library's headers differently.
case $missing in
*libturbojpeg0-dev*)
    if dpkg-query -W -f='${Status}\n' libturbojpeg-dev 2>/dev/null | grep -q '^install ok installed'; then
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
