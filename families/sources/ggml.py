"""Element types of GGUF files: how many values share a block, and how many bytes a block takes.

Numbers are those of ggml.h. Types that this project cannot turn back into numbers are listed by name alone, so that an
error can say which one a file uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class GgmlType:
    """One element type. `values` share a block of `bytes`."""

    number: int
    name: str
    values: int
    bytes: int


_READABLE = (
    GgmlType(0, "F32", 1, 4),
    GgmlType(1, "F16", 1, 2),
    GgmlType(30, "BF16", 1, 2),
    GgmlType(2, "Q4_0", 32, 18),
    GgmlType(3, "Q4_1", 32, 20),
    GgmlType(6, "Q5_0", 32, 22),
    GgmlType(7, "Q5_1", 32, 24),
    GgmlType(8, "Q8_0", 32, 34),
    GgmlType(10, "Q2_K", 256, 84),
    GgmlType(11, "Q3_K", 256, 110),
    GgmlType(12, "Q4_K", 256, 144),
    GgmlType(13, "Q5_K", 256, 176),
    GgmlType(14, "Q6_K", 256, 210),
)
READABLE_TYPES: Mapping[int, GgmlType] = MappingProxyType({kind.number: kind for kind in _READABLE})
"""By ggml's number."""
TYPES_BY_NAME: Mapping[str, GgmlType] = MappingProxyType({kind.name: kind for kind in _READABLE})

OTHER_TYPES: Mapping[int, str] = MappingProxyType({
    9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
    22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
})  # fmt: skip
