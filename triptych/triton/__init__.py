"""Run Triton as a supervised child process.

Three steps, one module each::

    install = locate()                       # install.py: which tritonserver
    runtime = prepare(install, cache_dir)    # runtime.py: a folder and an environment it can run in
    async with TritonSupervisor(runtime, settings, log_file) as triton:   # supervisor.py
        ... talk to triton.endpoints.grpc

Nothing here imports numpy, torch or a gRPC client.
"""

from triptych.triton.command import Ports, TritonSettings, build_argv
from triptych.triton.errors import (
    GlibcTooOldError,
    LibpythonMissingError,
    NumpyTooNewError,
    PortInUseError,
    PythonNotOnPathError,
    StubMissingError,
    TritonError,
    TritonNotFoundError,
    TritonSetupError,
    TritonStartError,
    UnsupportedPlatformError,
)
from triptych.triton.install import TritonInstall, locate
from triptych.triton.runtime import TritonRuntime, prepare
from triptych.triton.state import Endpoints, RestartPolicy, State, Status
from triptych.triton.supervisor import TritonSupervisor

__all__ = [
    "Endpoints",
    "GlibcTooOldError",
    "LibpythonMissingError",
    "NumpyTooNewError",
    "PortInUseError",
    "Ports",
    "PythonNotOnPathError",
    "RestartPolicy",
    "State",
    "Status",
    "StubMissingError",
    "TritonError",
    "TritonInstall",
    "TritonNotFoundError",
    "TritonRuntime",
    "TritonSettings",
    "TritonSetupError",
    "TritonStartError",
    "TritonSupervisor",
    "UnsupportedPlatformError",
    "build_argv",
    "locate",
    "prepare",
]
