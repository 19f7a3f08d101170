"""FLUX.2 and Qwen-Image with positions as inputs, held against diffusers' own models."""

import pytest
import torch
from diffusers import Flux2Transformer2DModel, QwenImageTransformer2DModel

from engine.modules import flux2_transformer, qwen_image_transformer
from engine.modules.rotary import Rotation, rotate

HEAD, HEADS, TEXT = 16, 2, 24


def _flux(**changes: object) -> Flux2Transformer2DModel:
    settings = {
        "in_channels": 8,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": HEAD,
        "num_attention_heads": HEADS,
        "joint_attention_dim": TEXT,
        "axes_dims_rope": (4, 4, 4, 4),
        "guidance_embeds": False,
    }
    torch.manual_seed(0)
    return Flux2Transformer2DModel(**(settings | changes)).eval()


def _qwen(**changes: object) -> QwenImageTransformer2DModel:
    settings = {
        "in_channels": 8,
        "out_channels": 2,
        "num_layers": 2,
        "attention_head_dim": HEAD,
        "num_attention_heads": HEADS,
        "joint_attention_dim": TEXT,
        "axes_dims_rope": (4, 6, 6),
    }
    torch.manual_seed(0)
    return QwenImageTransformer2DModel(**(settings | changes)).eval()


def _once(tables: tuple[torch.Tensor, torch.Tensor], rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    """diffusers writes each angle twice; with a batch axis."""
    cos, sin = (table[:, ::2].float().expand(rows, -1, -1) for table in tables)
    return cos, sin


@torch.inference_mode()
def test_flux2_is_diffusers_own() -> None:
    model = _flux()
    image_ids = torch.cartesian_prod(torch.tensor([0, 10]), torch.arange(3), torch.arange(4), torch.tensor([0]))
    text_ids = torch.nn.functional.pad(torch.arange(5)[:, None], (3, 0))
    sample, context = torch.randn(2, len(image_ids), 8), torch.randn(2, 5, TEXT)
    timestep = torch.tensor([0.9, 0.2])
    expected = model(sample, context, timestep, image_ids, text_ids, return_dict=False)[0]
    tables = (*_once(model.pos_embed(image_ids), 2), *_once(model.pos_embed(text_ids), 2))
    got = flux2_transformer.Transformer(model)(sample, timestep, context, *tables)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layered", [False, True])
@torch.inference_mode()
def test_qwen_image_is_diffusers_own(layered: bool) -> None:
    model = _qwen(use_additional_t_cond=layered, use_layer3d_rope=layered)
    sizes = [(1, 4, 6), (1, 4, 6), (1, 2, 2)] if layered else [(1, 4, 6)]
    tokens = sum(frames * height * width for frames, height, width in sizes)
    sample, context = torch.randn(2, tokens, 8), torch.randn(2, 7, TEXT)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    timestep = torch.tensor([0.9, 0.2])
    extra = torch.zeros(2, dtype=torch.int64) if layered else None
    expected = model(sample, context, mask, timestep, [sizes] * 2, additional_t_cond=extra, return_dict=False)[0]
    image, text = model.pos_embed([sizes] * 2, max_txt_seq_len=7, device=torch.device("cpu"))
    tables = [part.float().expand(2, -1, -1) for table in (image, text) for part in (table.real, table.imag)]
    got = qwen_image_transformer.Transformer(model)(sample, timestep, context, mask, *tables, extra)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_rows_may_lie_differently() -> None:
    """The reason for the batch axis: each row has its own positions."""
    module = flux2_transformer.Transformer(_flux())
    sample, context, timestep = torch.randn(2, 6, 8), torch.randn(2, 3, TEXT), torch.tensor([0.5, 0.5])
    angles = [torch.rand(2, length, HEAD // 2) * 6 for length in (6, 3)]
    tables = [part(angle) for angle in angles for part in (torch.cos, torch.sin)]
    both = module(sample, timestep, context, *tables)
    for row in range(2):
        alone = [tensor[row : row + 1] for tensor in (sample, timestep, context, *tables)]
        torch.testing.assert_close(module(*alone), both[row : row + 1], atol=1e-5, rtol=1e-5)


def test_a_rotation_keeps_lengths_and_types() -> None:
    heads = torch.randn(2, 3, HEADS, HEAD, dtype=torch.float16)
    angles = torch.rand(2, 3, HEAD // 2)
    turned = rotate(heads, Rotation(torch.cos(angles), torch.sin(angles)))
    assert turned.dtype == torch.float16
    torch.testing.assert_close(turned.float().norm(dim=-1), heads.float().norm(dim=-1), atol=2e-3, rtol=2e-3)


def test_what_is_not_supported_is_refused() -> None:
    with pytest.raises(ValueError, match="embedded guidance"):
        flux2_transformer.Transformer(_flux(guidance_embeds=True))
    with pytest.raises(ValueError, match="second timestep"):
        qwen_image_transformer.Transformer(_qwen(zero_cond_t=True))
