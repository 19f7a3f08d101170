"""What the server says of its machine; the GPU driver's library is played by one of ours, compiled against its ABI."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.adapters.machine import describe_machine
from gateway.adapters.nvml import nvidia_gpus

_DRIVER = r"""
#include <stdio.h>
#include <string.h>
typedef struct device* nvmlDevice_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
static int device[2], alive;
int nvmlInit_v2(void) { alive = 1; return INIT_STATUS; }
int nvmlShutdown(void) { alive = 0; fputs("shut down\n", stderr); return 0; }
int nvmlSystemGetDriverVersion(char* text, unsigned int length) { strncpy(text, "580.1", length); return !alive; }
int nvmlDeviceGetCount_v2(unsigned int* count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t* handle) {
    if (index > 1) return 2;
    *handle = (nvmlDevice_t)&device[index];
    return 0;
}
static int number(nvmlDevice_t handle) { return (int)((int*)handle - device); }
int nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, nvmlMemory_t* memory) {
    memory->total = 24ULL << (30 + number(handle));
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t handle, int* major, int* minor) {
    *major = 8 + number(handle); *minor = 9 * !number(handle);
    return 0;
}
int nvmlDeviceGetName(nvmlDevice_t handle, char* name, unsigned int length) {
    snprintf(name, length, "GPU %d", number(handle));
    return NAME_STATUS;
}
"""
_ASK = "from gateway.adapters.nvml import nvidia_gpus; print(nvidia_gpus())"


def ask(folder: Path, init_status: int = 0, name_status: int = 0) -> subprocess.CompletedProcess[str]:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler on Linux")
    (folder / "driver.c").write_text(_DRIVER)
    defines = [f"-DINIT_STATUS={init_status}", f"-DNAME_STATUS={name_status}"]
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", *defines, "driver.c", "-o", library], cwd=folder, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=True, timeout=60
    )


def test_every_gpu_of_the_driver(tmp_path: Path) -> None:
    done = ask(tmp_path)
    assert done.stdout.strip() == (
        "(Gpu(name='GPU 0', memory_bytes=25769803776, compute_capability='8.9', driver='580.1'),"
        " Gpu(name='GPU 1', memory_bytes=51539607552, compute_capability='9.0', driver='580.1'))"
    )
    assert "shut down" in done.stderr


@pytest.mark.parametrize(("init_status", "name_status"), [(9, 0), (0, 999)])
def test_a_driver_that_fails_is_no_gpu(tmp_path: Path, init_status: int, name_status: int) -> None:
    done = ask(tmp_path, init_status, name_status)
    assert done.stdout.strip() == "()"
    assert ("shut down" in done.stderr) is (init_status == 0)


def test_no_driver_is_no_gpu() -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a driver")
    assert nvidia_gpus() == ()


def test_describing_loads_nothing_heavy() -> None:
    code = "import sys; from gateway.adapters.machine import describe_machine; describe_machine(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "onnx", "onnxruntime", "diffusers", "tensorrt"} & set(done.stdout.split())
    libraries = {library.name: library.version for library in describe_machine().libraries}
    assert libraries["numpy"].startswith("1.")
