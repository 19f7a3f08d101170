"""A request for which there is no memory is a 507, whichever backend ran it."""

import pytest

from engine.errors import OutOfMemoryError
from families.denoise_wire import FailureCode
from gateway.adapters.inprocess.errors import backend_error as of_engine
from gateway.adapters.triton.errors import backend_error as of_triton
from gateway.adapters.triton.errors import job_error
from gateway.domain.errors import BackendError, InsufficientMemory

SAID = "out of memory: DefaultCPUAllocator: can't allocate memory: you tried to allocate 8796093022208 bytes"


@pytest.mark.parametrize(
    "error",
    [
        of_engine(OutOfMemoryError(SAID)),
        of_triton("INTERNAL", SAID),
        job_error(FailureCode.OUT_OF_MEMORY, SAID),
    ],
    ids=["in-process", "Triton's component", "Triton's step engine"],
)
def test_it_is_told_apart(error: BackendError) -> None:
    assert isinstance(error, InsufficientMemory)
    assert (error.status, error.code, error.public) == (507, "insufficient_memory", True)
    assert "8796093022208" not in error.message, "libraries' words are for the log"


def test_other_failures_stay_failures() -> None:
    assert not isinstance(of_triton("INTERNAL", "the denoiser failed"), InsufficientMemory)
