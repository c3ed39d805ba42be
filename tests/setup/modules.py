"""Fails, saying what is missing, unless this interpreter has the modules that requirements.txt stands for."""
import importlib.util
import pathlib
import re
import sys

IMPORTED_AS = {"pillow": "PIL"}
lines = pathlib.Path(__file__).with_name("requirements.txt").read_text().split()
names = [re.match(r"[\w-]+", line).group() for line in lines]
missing = [n for n in names if importlib.util.find_spec(IMPORTED_AS.get(n, n)) is None]
if missing:
    sys.exit(f"{sys.executable} lacks {', '.join(missing)}")
