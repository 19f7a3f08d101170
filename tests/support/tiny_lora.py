"""Writes random adapters for a model folder, as kohya's scripts and as diffusers with peft do."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

Chosen = Callable[[str], bool]
PREFIXES = {"unet": "lora_unet_", "transformer": "lora_unet_", "text_encoder": "lora_te_text_model_"}


def attention(layer: str) -> bool:
    """Layers that most adapters change."""
    return layer.endswith(("to_q", "to_v", "to_out.0", "q_proj", "v_proj"))


def everything(layer: str) -> bool:
    """Convolutions, projections of the time and all."""
    return "embeddings" not in layer and "norm" not in layer


def shapes_of(part: Path) -> dict[str, tuple[int, ...]]:
    """Weights' shapes by their layers' names, of everything that is a matrix or a kernel."""
    found: dict[str, tuple[int, ...]] = {}
    for path in sorted(part.glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            for key in file.keys():  # noqa: SIM118 - no mapping
                shape = tuple(file.get_slice(key).get_shape())
                if key.endswith(".weight") and len(shape) > 1:
                    found[key.removesuffix(".weight")] = shape
    return found


def write_kohya(
    model: Path, path: Path, *, parts: tuple[str, ...], chosen: Chosen, seed: int, rank: int = 4, alpha: float = 2.0
) -> None:
    """Dots become underscores; every layer has its alpha."""
    tensors: dict[str, torch.Tensor] = {}
    for part in parts:
        for layer, down, up in _pairs(model / part, chosen, seed, rank):
            key = PREFIXES[part] + layer.removeprefix("text_model.").replace(".", "_")
            tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
            tensors[f"{key}.alpha"] = torch.tensor(alpha)
    _save(tensors, path)


def write_peft(
    model: Path, path: Path, *, parts: tuple[str, ...], chosen: Chosen, seed: int, rank: int = 4, alpha: float | None
) -> None:
    """The part's folder goes before its layers; alpha is told in the file's header, or is the rank."""
    tensors: dict[str, torch.Tensor] = {}
    metadata: dict[str, object] = {}
    for part in parts:
        layers = []
        for layer, down, up in _pairs(model / part, chosen, seed, rank):
            key = f"{part}.{layer}"
            tensors |= {f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": up}
            layers.append(layer)
        metadata |= {f"{part}.r": rank, f"{part}.lora_alpha": alpha, f"{part}.target_modules": layers}
    _save(tensors, path, {} if alpha is None else {"lora_adapter_metadata": json.dumps(metadata)})


def _pairs(part: Path, chosen: Chosen, seed: int, rank: int) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Strong enough to be seen in a picture of random weights."""
    generator = torch.Generator().manual_seed(seed)
    for layer, (out, *rest) in shapes_of(part).items():
        if chosen(layer):
            down = torch.randn(rank, *rest, generator=generator) / down_scale(rest)
            yield layer, down, torch.randn(out, rank, *[1] * (len(rest) - 1), generator=generator) / 4


def down_scale(rest: list[int]) -> float:
    """Keeps what goes in about as large as it was."""
    return float(torch.tensor(rest).prod()) ** 0.5


def _save(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), path, metadata={"format": "pt", **(metadata or {})})
