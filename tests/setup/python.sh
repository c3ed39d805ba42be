#!/bin/sh
# The virtual environment that tests and peers use, under the build folder. Beside a kit (make kit), which
# is made for machines without a network, it is the machine's own python3 if that has all it needs.
set -eu
venv=${BUILD:-build}/venv
stamp=$venv/.requirements
if cmp -s tests/setup/requirements.txt "$stamp"; then
    exit 0
fi
echo "  VENV  $venv"
rm -rf "$venv"
if [ -f kit/packages ] && python3 tests/setup/modules.py >/dev/null 2>&1; then
    mkdir -p "$venv/bin"
    printf '#!/bin/sh\nexec "%s" "$@"\n' "$(command -v python3)" >"$venv/bin/python"
    chmod +x "$venv/bin/python"
    cp tests/setup/requirements.txt "$stamp"
    exit 0
fi
# Debian's own interpreter: its venv module is what packages.sh has installed.
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
$python -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/setup/requirements.txt
cp tests/setup/requirements.txt "$stamp"
