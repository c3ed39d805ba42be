#!/bin/sh
# make kit: what a machine with a GPU, a compiler, CUDA and cuDNN lacks when it has no network either, gathered
# in one folder that git ignores and that is copied along with the tree:
#   root      Debian packages, unpacked: headers and shared libraries that the Makefile then finds
#   gen       onnx.pb-c.[ch], since protoc-c is not among them
#   models    networks and photos for the tests, where this checkout has them beside it
#   cache     which GPU kernels were the fastest, as measured before
#   packages  what packages.sh need not look for
set -eu
kit=${KIT:-kit}
build=${BUILD:-build}
limit=46080 # KiB

wanted="libprotobuf-c-dev libjansson-dev libdnnl-dev uthash-dev libcmocka-dev"
if [ -n "$(apt-cache madison libturbojpeg0-dev 2>/dev/null)" ]; then
    wanted="$wanted libturbojpeg0-dev"
else
    wanted="$wanted libturbojpeg-dev"
fi

# A package and the libraries it needs, but for those that every machine with a compiler has.
with_libraries() {
    echo "$1"
    apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "$1" | sed -n 's/^[ |]*Depends: \([a-z0-9.+-]*\)$/\1/p' | while read -r name; do
        case $name in
        libc6 | libc6-dev | libgcc-s1 | libstdc++6 | libgomp1) ;;
        lib* | ocl-icd-libopencl1) with_libraries "$name" ;;
        esac
    done
}

rm -rf "$kit"
mkdir -p "$kit/root" "$kit/gen" "$kit/models" "$kit/cache"
root=$(cd "$kit/root" && pwd)
for package in $wanted; do with_libraries "$package"; done | sort -u >"$kit/unpacked"
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
chmod 755 "$download"
# shellcheck disable=SC2046
(cd "$download" && apt-get download -qq $(cat "$root/../unpacked") 2>"$download/log") ||
    { cat "$download/log" >&2; echo "kit: 'apt-get update' first?" >&2; exit 1; }
for archive in "$download"/*.deb; do
    dpkg -x "$archive" "$root"
done
rm -rf "${root:?}/etc" "${root:?}/usr/share" "$root"/usr/lib/*/pkgconfig "$root"/usr/lib/*/cmake
find "$root" -name '*.a' -delete

cp src/onnx/onnx.proto "$build/gen/onnx.pb-c.c" "$build/gen/onnx.pb-c.h" "$kit/gen"
if [ -d ../shared/models ]; then
    cp -r ../shared/models/. "$kit/models"
    chmod -R u+w "$kit/models"
fi
cache=${HSCHED_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/hsched}
for tuning in "$cache/gpu-tuning.txt" tests/bench/gpu-tuning.txt; do
    if [ -f "$tuning" ]; then
        cp "$tuning" "$kit/cache/gpu-tuning.txt"
        break
    fi
done
echo $wanted protobuf-c-compiler libturbojpeg0-dev | tr ' ' '\n' | sort -u >"$kit/packages"
rm "$kit/unpacked"

size=$(du -sk "$kit" | cut -f1)
for part in root gen models cache; do
    echo "  $(du -sh "$kit/$part" | cut -f1)	$kit/$part"
done
if [ "$size" -gt "$limit" ]; then
    echo "kit: $size KiB are more than the $limit KiB that it is meant to stay below" >&2
    exit 1
fi
echo "$kit: $((size / 1024)) MiB. Copy it along with the tree; 'make check-gpu' there uses what that machine lacks."
