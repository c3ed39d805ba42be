"""What GPU machine this is, asked of the driver itself; and what is known of it from before."""
import ctypes
import os
import re
import shutil
import subprocess


def missing():
    """Why no GPU can be used here; "" if one can."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"no NVIDIA driver ({error})"
    result = cuda.cuInit(0)
    count = ctypes.c_int()
    if result == 0:
        result = cuda.cuDeviceGetCount(ctypes.byref(count))
    if result != 0:
        return f"the driver found no GPU (CUDA error {result})"
    return "" if count.value else "the driver found no GPU"


def _names(cuda):
    count, names = ctypes.c_int(), []
    cuda.cuDeviceGetCount(ctypes.byref(count))
    for ordinal in range(count.value):
        device, text = ctypes.c_int(), ctypes.create_string_buffer(128)
        cuda.cuDeviceGet(ctypes.byref(device), ordinal)
        cuda.cuDeviceGetName(text, len(text), device)
        names.append(text.value.decode())
    return names


def _driver():
    try:
        out = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
                             capture_output=True, text=True, timeout=60, check=True).stdout
        return out.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        pass
    try:
        text = open("/proc/driver/nvidia/version").read()
        return re.search(r"\b(\d+\.\d+(\.\d+)?)\b", text).group(1)
    except (OSError, AttributeError):
        return "unknown"


def _cudnn():
    try:
        version = ctypes.CDLL("libcudnn.so.9").cudnnGetVersion
    except OSError:
        return "none"
    version.restype = ctypes.c_size_t
    number = version()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def describe():
    """None without a GPU."""
    if missing():
        return None
    cuda = ctypes.CDLL("libcuda.so.1")
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    names = _names(cuda)
    return {"gpu": names[0], "gpus": len(names), "driver": _driver(),
            "cuda": f"{number.value // 1000}.{number.value % 1000 // 10}", "cudnn": _cudnn()}


def use_tuning_cache(root, folder):
    """Lets libhsched keep its choices of kernels in `folder`, which starts with those of the kit or of the
    repository. A $HSCHED_CACHE_DIR that is set stays."""
    if "HSCHED_CACHE_DIR" in os.environ:
        return
    folder.mkdir(parents=True, exist_ok=True)
    known = [root / "kit/cache/gpu-tuning.txt", root / "tests/bench/gpu-tuning.txt"]
    source = next((p for p in known if p.exists()), None)
    if source and not (folder / "gpu-tuning.txt").exists():
        shutil.copy(source, folder / "gpu-tuning.txt")
    os.environ["HSCHED_CACHE_DIR"] = str(folder)
