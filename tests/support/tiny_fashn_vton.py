"""A tiny random FASHN VTON as it is published: one weights file, with a configuration of its own beside it."""

import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.support.tiny_sd15 import write_json

HEIGHT, WIDTH, PATCH = 48, 32, 4
HIDDEN, HEADS, MLP, AXES = 48, 2, 4, (4, 8, 12)
MIXERS, DOUBLES, SINGLES, CATEGORIES = 1, 2, 2, 3
CONFIG = {
    "_class_name": "FashnVtonTransformer",
    "input_height": HEIGHT,
    "input_width": WIDTH,
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_double_blocks": DOUBLES,
    "num_single_blocks": SINGLES,
    "num_mixer_blocks": MIXERS,
    "in_channels": 3,
    "patch_size": PATCH,
    "num_categories": CATEGORIES,
    "axes_dims_rope": list(AXES),
    "rope_theta": 10000,
    "mlp_ratio": MLP,
}
State = dict[str, torch.Tensor]


def write_tiny_fashn_vton(path: Path) -> State:
    """Writes the file `path` and its side folder; the tensors that are in it."""
    state = tiny_state()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    write_json(path.with_suffix(".config") / "transformer" / "config.json", CONFIG)
    return state


def tiny_state() -> State:
    """Tensors under the published names: every layer loud enough to be missed."""
    generator = torch.Generator().manual_seed(5)
    shapes: dict[str, tuple[int, ...]] = {
        "x_embedder.proj.weight": (HIDDEN, 7, PATCH, PATCH),
        "garment_embedder.proj.weight": (HIDDEN, 4, PATCH, PATCH),
        "t_embedder.mlp.in_layer.weight": (HIDDEN, 256),
        "t_embedder.mlp.out_layer.weight": (HIDDEN, HIDDEN),
        "y_embedder.weight": (CATEGORIES + 1, HIDDEN),
        "final_layer.linear.weight": (3 * PATCH**2, HIDDEN),
        "final_layer.adaLN_modulation.1.weight": (2 * HIDDEN, HIDDEN),
    }
    for index in range(DOUBLES):
        for side in ("img", "txt"):
            at = f"double_blocks.{index}.{side}"
            shapes |= {
                f"{at}_mod.lin.weight": (6 * HIDDEN, HIDDEN),
                f"{at}_attn.qkv.weight": (3 * HIDDEN, HIDDEN),
                f"{at}_attn.proj.weight": (HIDDEN, HIDDEN),
                f"{at}_attn.norm.query_norm.scale": (HIDDEN // HEADS,),
                f"{at}_attn.norm.key_norm.scale": (HIDDEN // HEADS,),
                f"{at}_mlp.0.weight": (MLP * HIDDEN, HIDDEN),
                f"{at}_mlp.2.weight": (HIDDEN, MLP * HIDDEN),
            }
    for at in (
        *(f"x_patch_mixer.{index}" for index in range(MIXERS)),
        *(f"single_blocks.{i}" for i in range(SINGLES)),
    ):
        shapes |= {
            f"{at}.linear1.weight": ((3 + MLP) * HIDDEN, HIDDEN),
            f"{at}.linear2.weight": (HIDDEN, (1 + MLP) * HIDDEN),
            f"{at}.modulation.lin.weight": (3 * HIDDEN, HIDDEN),
            f"{at}.norm.query_norm.scale": (HIDDEN // HEADS,),
            f"{at}.norm.key_norm.scale": (HIDDEN // HEADS,),
        }
    state: State = {"patch_mixer_token": torch.zeros(1, 1, 3 * PATCH**2)}
    for name, shape in shapes.items():
        fan = math.prod(shape[1:]) if len(shape) > 1 else 1
        drawn = torch.randn(shape, generator=generator)
        state[name] = 1 + drawn / 4 if name.endswith("scale") else drawn / math.sqrt(fan)
        if name.endswith("weight") and name != "y_embedder.weight":
            state[name.replace("weight", "bias")] = torch.randn(shape[0], generator=generator) / 8
    return state


class Reference:
    """The published architecture over the plain tensors, with positions as complex numbers."""

    def __init__(self, state: State) -> None:
        self.state = state
        rows, columns = HEIGHT // PATCH, WIDTH // PATCH
        turns = []
        for width, position in zip(AXES, ("none", "row", "column"), strict=True):
            speed = 10000.0 ** -(torch.arange(0, width, 2, dtype=torch.float64) / width)
            places = {"none": torch.zeros(rows, columns), "row": torch.arange(rows)[:, None].expand(rows, columns)}
            place = places.get(position, torch.arange(columns)[None].expand(rows, columns)).reshape(-1, 1)
            turns.append(torch.polar(torch.ones(1, dtype=torch.float64), place.double() * speed))
        self.turns = torch.cat(turns, dim=1)

    def velocity(self, x: torch.Tensor, time: float, told: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """x [1, 3, H, W]; `told`: agnostic, person's pose, garment, its pose, category."""
        agnostic, pose, garment, garment_pose, category = told
        vector = self._vector(time, category)
        person = self._patches("x_embedder", torch.cat((x, agnostic, pose), 1))
        worn = self._patches("garment_embedder", torch.cat((garment, garment_pose), 1))
        for index in range(MIXERS):
            person = self._single(f"x_patch_mixer.{index}", person, vector, self.turns)
        both = torch.cat((self.turns, self.turns))
        for index in range(DOUBLES):
            person, worn = self._double(f"double_blocks.{index}", person, worn, vector, both)
        tokens = torch.cat((worn, person), 1)
        for index in range(SINGLES):
            tokens = self._single(f"single_blocks.{index}", tokens, vector, both)
        shift, scale = self._linear("final_layer.adaLN_modulation.1", torch.nn.functional.silu(vector)).chunk(2, -1)
        patches = self._linear("final_layer.linear", self._normed(tokens[:, worn.shape[1] :], shift, scale))
        image = torch.zeros(1, 3, HEIGHT, WIDTH)
        for index, patch in enumerate(patches[0]):
            row, column = divmod(index, WIDTH // PATCH)
            block = patch.reshape(3, PATCH, PATCH)
            image[0, :, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = block
        return image

    def _vector(self, time: float, category: torch.Tensor) -> torch.Tensor:
        waves = 1000 * time * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        hidden = self._linear("t_embedder.mlp.in_layer", torch.cat((waves.cos(), waves.sin()))[None])
        embedded = self._linear("t_embedder.mlp.out_layer", torch.nn.functional.silu(hidden))
        return embedded + self.state["y_embedder.weight"][category]

    def _patches(self, name: str, pixels: torch.Tensor) -> torch.Tensor:
        weight, bias = self.state[f"{name}.proj.weight"], self.state[f"{name}.proj.bias"]
        return torch.nn.functional.conv2d(pixels, weight, bias, stride=PATCH).flatten(2).transpose(1, 2)

    def _linear(self, name: str, value: torch.Tensor) -> torch.Tensor:
        return value @ self.state[f"{name}.weight"].T + self.state[f"{name}.bias"]

    def _normed(self, tokens: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        mean, spread = tokens.mean(-1, keepdim=True), tokens.var(-1, unbiased=False, keepdim=True)
        return (tokens - mean) / (spread + 1e-6).sqrt() * (1 + scale) + shift

    def _heads(self, name: str, projected: torch.Tensor) -> list[torch.Tensor]:
        """Queries, keys, values [heads, N, D], the first two of root mean square 1 before their scale."""
        parts = [part[0].reshape(-1, HEADS, HIDDEN // HEADS).transpose(0, 1) for part in projected.chunk(3, -1)]
        for index, kind in enumerate(("query", "key")):
            size = (parts[index].square().mean(-1, keepdim=True) + 1e-6).sqrt()
            parts[index] = parts[index] / size * self.state[f"{name}.{kind}_norm.scale"]
        return parts

    def _attended(self, parts: list[torch.Tensor], turns: torch.Tensor) -> torch.Tensor:
        query, key = (
            torch.view_as_real(torch.view_as_complex(part.double().reshape(HEADS, -1, part.shape[-1] // 2, 2)) * turns)
            .flatten(2)
            .float()
            for part in parts[:2]
        )
        weights = torch.softmax(query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]), -1)
        return (weights @ parts[2]).transpose(0, 1).reshape(1, -1, HIDDEN)

    def _single(self, name: str, tokens: torch.Tensor, vector: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
        modulation = self._linear(f"{name}.modulation.lin", torch.nn.functional.silu(vector))
        shift, scale, gate = modulation.chunk(3, -1)
        made = self._linear(f"{name}.linear1", self._normed(tokens, shift, scale))
        attended = self._attended(self._heads(f"{name}.norm", made[..., : 3 * HIDDEN]), turns)
        fed = torch.nn.functional.gelu(made[..., 3 * HIDDEN :], approximate="tanh")
        return tokens + gate * self._linear(f"{name}.linear2", torch.cat((attended, fed), -1))

    def _double(
        self, name: str, person: torch.Tensor, worn: torch.Tensor, vector: torch.Tensor, turns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        streams = {"txt": worn, "img": person}
        modulations = {
            side: self._linear(f"{name}.{side}_mod.lin", torch.nn.functional.silu(vector)).chunk(6, -1)
            for side in streams
        }
        parts = {
            side: self._heads(
                f"{name}.{side}_attn.norm",
                self._linear(f"{name}.{side}_attn.qkv", self._normed(tokens, *modulations[side][:2])),
            )
            for side, tokens in streams.items()
        }
        joint = [torch.cat(pair, 1) for pair in zip(parts["txt"], parts["img"], strict=True)]
        attended = dict(zip(streams, self._attended(joint, turns).split(worn.shape[1], 1), strict=True))
        for side, tokens in streams.items():
            _, _, gate, shift, scale, last = modulations[side]
            tokens = tokens + gate * self._linear(f"{name}.{side}_attn.proj", attended[side])
            fed = self._linear(f"{name}.{side}_mlp.0", self._normed(tokens, shift, scale))
            fed = self._linear(f"{name}.{side}_mlp.2", torch.nn.functional.gelu(fed, approximate="tanh"))
            streams[side] = tokens + last * fed
        return streams["img"], streams["txt"]
