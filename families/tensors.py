"""Names, types and shapes of the tensors that cross a component's border.

The same specs generate `config.pbtxt`, name ONNX inputs, and address tensors on the wire, so the three cannot drift
apart.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


LATENT_HEIGHT, LATENT_WIDTH = "latent_height", "latent_width"
"""Symbols of a dynamic axis: rows and columns of latent cells."""


class DType(StrEnum):
    """Element types by Triton's wire names."""

    FP32 = "FP32"
    INT32 = "INT32"
    INT64 = "INT64"
    UINT8 = "UINT8"
    BOOL = "BOOL"
    BYTES = "BYTES"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The numpy dtype which carries this type; BYTES travels as `object`."""
        return np.dtype(_NUMPY[self])


_NUMPY: dict[DType, type] = {
    DType.FP32: np.float32,
    DType.INT32: np.int32,
    DType.INT64: np.int64,
    DType.UINT8: np.uint8,
    DType.BOOL: np.bool_,
    DType.BYTES: np.object_,
}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One named tensor. `dims` leaves the batch axis out; a string is a dynamic axis by its symbol."""

    name: str
    dtype: DType
    dims: tuple[int | str, ...]

    @property
    def triton_dims(self) -> tuple[int, ...]:
        """Dims as `config.pbtxt` wants them: -1 for every dynamic axis."""
        return tuple(-1 if isinstance(dim, str) else dim for dim in self.dims)


@dataclass(frozen=True, slots=True)
class NamedTensor:
    """A value for a `TensorSpec`, batch axis first."""

    name: str
    array: Array


@dataclass(frozen=True, slots=True)
class ComponentSignature:
    """Inputs and outputs of one component; every tensor has a leading batch axis."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
