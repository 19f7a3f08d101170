"""What a request to the text encoder says of adapters, row by row."""

from typing import Any

import triton_python_backend_utils as pb_utils

from families import denoise_wire as wire
from families.lora.use import LoraUse


def lora_rows(request: Any, rows: int) -> list[tuple[LoraUse, ...]]:
    """One entry a row; empty ones where the request names none. Raises ValueError where names and scales differ."""
    given = pb_utils.get_input_tensor_by_name(request, wire.LORA_NAMES.name)
    if given is None:
        return [()] * rows
    names, scales = given.as_numpy(), pb_utils.get_input_tensor_by_name(request, wire.LORA_SCALES.name)
    if scales is None or scales.as_numpy().shape != names.shape:
        raise ValueError(f"input {wire.LORA_SCALES.name} must have the shape of {wire.LORA_NAMES.name}")
    return [
        tuple(LoraUse(name.decode(errors="replace"), float(scale)) for name, scale in zip(*row, strict=True))
        for row in zip(names, scales.as_numpy(), strict=True)
    ]
