"""Other engines that networks are compared with. Each is a module peers_NAME of this folder that has

    TITLE                     how tables call it
    VERSION
    Session(path, feed, threads)
        call()                runs the network on fixed memory, as a user of its C or C++ API would; if it
                              is one of repeat.py's, several calls have no Python in between
        outputs()             what the last call gave, in the order of the network's outputs
        close()               its threads and memory are given back

and raises Refused where it cannot have a network.
"""
import importlib
import sys

NAMES = ["onnxruntime", "openvino", "ncnn"]
REQUIREMENTS = "tests/setup/requirements-peers.txt"


class Refused(Exception):
    """The engine does not read or run this network; says why."""


def wanted(names):
    """The modules of those that are installed. Says of the others how they are."""
    modules = []
    for name in names:
        if name not in NAMES:
            sys.exit(f"--peers: {name} is none of {', '.join(NAMES)}")
        try:
            modules.append(importlib.import_module(f"peers_{name}"))
        except ImportError as missing:
            print(f"{name} is left out: {missing}. To install it:\n"
                  f"    {sys.executable} -m pip install --no-deps -r {REQUIREMENTS}")
    return modules
