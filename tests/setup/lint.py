"""make lint: folders include only those before them, files keep the format, sources stay readable, docs are current."""
import pathlib
import re
import shutil
import subprocess
import sys

ORDER = ["base", "meter", "trace", "buffer", "graph", "onnx", "backend", "cost", "plan", "sched", "simulator",
         "worker", "runtime", "zoo", "cli"]
PUBLIC_ONLY = {"zoo", "cli"}
# The GPU plug-in is linked with nothing of the library: of it, it has these inline helpers only, and
# the tuning cache, which is compiled into it once more.
PLUGIN = "backend/cuda/"
PLUGIN_MAY = {"base/checked.h", "base/tensor.h", "backend/grid.h", "backend/roi.h",
              "backend/tune_cache.h"}
ROOT = pathlib.Path(__file__).resolve().parents[2]
errors = []


def check_includes(path):
    parts = path.relative_to(ROOT / "src").parts
    folder = parts[0]
    plugin = "/".join(parts).startswith(PLUGIN)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1).split("/")[0]
        where = f"{path.relative_to(ROOT)}:{number}"
        if target.endswith(".h"):
            if "pb-c" not in target:
                errors.append(f"{where}: write the include from src: \"{folder}/{match.group(1)}\"")
        elif target not in ORDER:
            errors.append(f"{where}: {match.group(1)} is not in a folder of src")
        elif ORDER.index(target) > ORDER.index(folder):
            errors.append(f"{where}: {folder} must not include {target}, which comes after it")
        elif plugin and not match.group(1).startswith(PLUGIN) and match.group(1) not in PLUGIN_MAY:
            errors.append(f"{where}: the GPU plug-in may not include {match.group(1)}")
        elif folder in PUBLIC_ONLY and target not in PUBLIC_ONLY:
            errors.append(f"{where}: {folder} uses public headers only, not {match.group(1)}")


C = ("*.c", "*.h")
CUDA = ("*.cu", "*.cuh")


def sources(*folders, suffixes=C + CUDA):
    for folder in folders:
        for suffix in suffixes:
            yield from sorted((ROOT / folder).rglob(suffix))


def columns_allowed(source, line):
    """clang-format holds the code of .c and .h to 90 columns; nothing else does that of .cu and .cuh."""
    is_comment = re.match(r"\s*(//|/\*|\*)", line) or "/*" in line or "*/" in line or "//" in line
    return 100 if is_comment or f"*{source.suffix}" in C else 90


for source in sources("src"):
    check_includes(source)
for source in sources("src", "include", "tests", "examples"):
    for number, line in enumerate(source.read_text().splitlines(), 1):
        if len(line.expandtabs(4)) > columns_allowed(source, line):
            errors.append(f"{source.relative_to(ROOT)}:{number}: {len(line)} columns")
if shutil.which("clang-format"):
    files = [str(f) for f in sources("src", "tests", "examples", suffixes=C)]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], capture_output=True,
                         text=True)
    errors += [line for line in run.stderr.splitlines() if "error:" in line][:40]
else:
    print("lint: clang-format is not installed; formats were not checked")
if shutil.which("shellcheck"):
    scripts = [str(f) for f in [*ROOT.glob("tests/**/*.sh"), ROOT / ".ci/run"]]
    run = subprocess.run(["shellcheck", "-S", "warning", *scripts], capture_output=True, text=True)
    errors += run.stdout.splitlines()
run = subprocess.run([sys.executable, str(ROOT / "tests/setup/operators.py"), "--check"], capture_output=True,
                     text=True)
errors += run.stderr.splitlines()
for error in errors:
    print(error)
print(f"lint: {len(errors)} findings")
sys.exit(1 if errors else 0)
