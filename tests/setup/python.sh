#!/bin/sh
# The virtual environment that tests and peers use, under the build folder.
set -eu
venv=${BUILD:-build}/venv
stamp=$venv/.requirements
if cmp -s tests/setup/requirements.txt "$stamp"; then
    exit 0
fi
echo "  VENV  $venv"
rm -rf "$venv"
# Debian's own interpreter: its venv module is what packages.sh has installed.
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
$python -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/setup/requirements.txt
cp tests/setup/requirements.txt "$stamp"
