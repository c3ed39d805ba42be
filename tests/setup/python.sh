#!/bin/sh
# The virtual environment that tests and peers use, under the build folder. Beside a kit (make kit), which
# is made for machines without a network, it is the machine's own python3 if that has all it needs.
# With the argument 'peers' also what benchmarks compare with beyond what tests need: where that cannot be
# installed it is said, and the benchmarks do without.
set -eu
venv=${BUILD:-build}/venv

# Whether what a file in tests/setup lists is there already.
has() {
    cmp -s "tests/setup/$1.txt" "$venv/.$1"
}

make_venv() {
    echo "  VENV  $venv"
    rm -rf "$venv"
    if [ -f kit/packages ] && python3 tests/setup/modules.py >/dev/null 2>&1; then
        mkdir -p "$venv/bin"
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$(command -v python3)" >"$venv/bin/python"
        chmod +x "$venv/bin/python"
    else
        # Debian's own interpreter: its venv module is what packages.sh has installed.
        python=python3
        [ -x /usr/bin/python3 ] && python=/usr/bin/python3
        $python -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r tests/setup/requirements.txt
    fi
    cp tests/setup/requirements.txt "$venv/.requirements"
}

# A package at a time: what there is for this machine is installed without the rest. Not what they say that
# they depend on: PyTorch, for the Python side of a converter that is run as a program.
add_peers() {
    echo "  PEERS $venv"
    all=1
    while read -r package; do
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$package" \
            </dev/null || all=0
    done <tests/setup/requirements-peers.txt
    [ "$all" = 0 ] || cp tests/setup/requirements-peers.txt "$venv/.requirements-peers"
}

has requirements || make_venv
if [ "${1:-}" = peers ]; then
    has requirements-peers || add_peers
fi
