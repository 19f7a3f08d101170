"""Which tensors give an architecture away: data, one row for every part in every naming.

A part is a component under diffusers' folder name. Rows are tried in order and the first of a part that fits is taken,
so what is special stands before what is general.
"""

from dataclasses import dataclass
from enum import StrEnum

from families.catvton import FAMILY as CATVTON
from families.fashn_vton import FAMILY as FASHN_VTON
from families.stable_diffusion import FAMILY as STABLE_DIFFUSION

INPAINTING = "stable-diffusion-inpainting"
STABLE_DIFFUSION_2 = "stable-diffusion-2"
SDXL = "stable-diffusion-xl"
SDXL_INPAINTING = "stable-diffusion-xl-inpainting"
SDXL_REFINER = "stable-diffusion-xl-refiner"
STABLE_DIFFUSION_3 = "stable-diffusion-3"
FLUX_1 = "flux1"
FLUX_2 = "flux2"
QWEN_IMAGE = "qwen-image"
QWEN_IMAGE_LAYERED = "qwen-image-layered"

AUTOENCODER_KL = "autoencoder-kl"
"""A decoder alone: several families share the architecture."""
CLIP_TEXT = "clip-text"
"""A text encoder alone: several families share the architecture."""
SHARED = frozenset({AUTOENCODER_KL, CLIP_TEXT})


class Naming(StrEnum):
    """Whose names a part's tensors have."""

    DIFFUSERS = "diffusers"
    """As diffusers and transformers save them."""
    LDM = "ldm"
    """As the families' first authors, and the single files that descend from theirs, name them."""
    OPEN_CLIP = "open_clip"
    NUMBERED = "numbered"
    """Modules in a list: the number of a module instead of its path."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What a tensor's shape must be to tell families apart: its number of axes, the length of axis 1."""

    name: str
    rank: int | None = None
    second: int | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """A part of a family: all of `present` and none of `absent`, under one of `prefixes`.

    `overlay`: the tensors are only some of the part's, to be laid over a whole one.
    """

    family: str
    part: str
    naming: Naming
    prefixes: tuple[str, ...]
    present: tuple[str, ...]
    absent: tuple[str, ...] = ()
    axes: tuple[Axis, ...] = ()
    overlay: bool = False


_MODEL = ("model.diffusion_model.", "")
_LDM_UNET = ("input_blocks.0.0.weight", "time_embed.0.weight", "middle_block.1.proj_in.weight", "out.2.weight")
_UNET = ("conv_in.weight", "time_embedding.linear_1.weight", "mid_block.attentions.0.proj_in.weight", "conv_out.weight")
_LDM_LABEL, _LABEL = "label_emb.0.0.weight", "add_embedding.linear_1.weight"
_CONTEXT = "transformer_blocks.0.attn2.to_k.weight"
_REFINER_CONTEXT = 1280
_CLIP = ("text_model.embeddings.token_embedding.weight", "text_model.encoder.layers.0.self_attn.q_proj.weight")
_FLAT_CLIP = tuple(name.removeprefix("text_model.") for name in _CLIP)
_OPEN_CLIP = ("token_embedding.weight", "transformer.resblocks.0.attn.in_proj_weight")
_LAYERED = "time_text_embed.addition_t_embedding.weight"

_LDM_IN, _LDM_MIDDLE = "input_blocks.0.0.weight", "middle_block.1."
_IN, _MIDDLE = "conv_in.weight", "mid_block.attentions.0."
_MASKED = 9
"""Channels in of an inpainting UNet: latents, mask, masked latents."""
_FIRST_BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0."
_WIDTH = 320
"""Channels of the first block of a Stable Diffusion 1 UNet."""


def _catvton() -> tuple[Signature, ...]:
    """Stable Diffusion 1's inpainting UNet without cross-attention: there is no prompt. Mostly published as its
    self-attention alone, to be put into the base model: in a list, or under the UNet's names.
    """
    masked, convolved = Axis(_IN, second=_MASKED), Axis(f"{_MIDDLE}proj_in.weight", rank=4)
    heads = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight")
    listed, named = (tuple(start + head for head in heads) for start in ("0.", f"{_FIRST_BLOCK}attn1."))
    return (
        Signature(CATVTON, "unet", Naming.DIFFUSERS, ("",), _UNET, (_LABEL, _MIDDLE + _CONTEXT), (convolved, masked)),
        Signature(
            CATVTON, "unet", Naming.DIFFUSERS, ("", "unet."), named, (_IN, f"{_FIRST_BLOCK}attn2.to_k.weight"),
            (Axis(named[0], rank=2, second=_WIDTH),), overlay=True,
        ),
        Signature(
            CATVTON, "unet", Naming.NUMBERED, ("",), listed,
            axes=(Axis(listed[0], rank=2, second=_WIDTH),), overlay=True,
        ),
    )  # fmt: skip


def _unets(naming: Naming, prefixes: tuple[str, ...]) -> tuple[Signature, ...]:
    """Every family with this UNet: a label embedding is SDXL's, linear projections without one are 2.x's."""
    ldm = naming is Naming.LDM
    names, label = (_LDM_UNET, _LDM_LABEL) if ldm else (_UNET, _LABEL)
    first, middle = (_LDM_IN, _LDM_MIDDLE) if ldm else (_IN, _MIDDLE)
    masked = Axis(first, second=_MASKED)
    refined = Axis(f"{middle}{_CONTEXT}", second=_REFINER_CONTEXT)
    linear, convolved = Axis(f"{middle}proj_in.weight", rank=2), Axis(f"{middle}proj_in.weight", rank=4)
    return (
        Signature(SDXL_REFINER, "unet", naming, prefixes, (*names, label), axes=(refined,)),
        Signature(SDXL_INPAINTING, "unet", naming, prefixes, (*names, label), axes=(masked,)),
        Signature(SDXL, "unet", naming, prefixes, (*names, label)),
        Signature(STABLE_DIFFUSION_2, "unet", naming, prefixes, names, (label,), (linear,)),
        Signature(INPAINTING, "unet", naming, prefixes, names, (label,), (convolved, masked)),
        Signature(STABLE_DIFFUSION, "unet", naming, prefixes, names, (label,), (convolved,)),
    )


SIGNATURES: tuple[Signature, ...] = (
    *_catvton(),
    *_unets(Naming.LDM, _MODEL),
    *_unets(Naming.DIFFUSERS, ("",)),
    Signature(
        AUTOENCODER_KL, "vae", Naming.LDM, ("first_stage_model.", "vae.", ""),
        ("decoder.conv_in.weight", "decoder.mid.block_1.norm1.weight", "decoder.up.0.block.0.norm1.weight"),
        axes=(Axis("decoder.conv_in.weight", rank=4),),
    ),
    Signature(
        AUTOENCODER_KL, "vae", Naming.DIFFUSERS, ("",),
        ("decoder.conv_in.weight", "decoder.mid_block.resnets.0.norm1.weight", "decoder.conv_norm_out.weight"),
        axes=(Axis("decoder.conv_in.weight", rank=4),),
    ),
    Signature(SDXL, "text_encoder", Naming.LDM, ("conditioner.embedders.0.transformer.",), _CLIP),
    Signature(STABLE_DIFFUSION, "text_encoder", Naming.LDM, ("cond_stage_model.transformer.",), _CLIP),
    Signature(STABLE_DIFFUSION, "text_encoder", Naming.LDM, ("cond_stage_model.transformer.",), _FLAT_CLIP),
    Signature(STABLE_DIFFUSION_2, "text_encoder", Naming.OPEN_CLIP, ("cond_stage_model.model.",), _OPEN_CLIP),
    Signature(CLIP_TEXT, "text_encoder", Naming.DIFFUSERS, ("",), _CLIP),
    Signature(CLIP_TEXT, "text_encoder", Naming.DIFFUSERS, ("",), _FLAT_CLIP),
    Signature(SDXL, "text_encoder_2", Naming.OPEN_CLIP, ("conditioner.embedders.1.model.",), _OPEN_CLIP),
    Signature(STABLE_DIFFUSION_3, "transformer", Naming.LDM, _MODEL, ("joint_blocks.0.x_block.attn.qkv.weight",)),
    Signature(
        STABLE_DIFFUSION_3, "transformer", Naming.DIFFUSERS, ("",),
        ("pos_embed.proj.weight", "context_embedder.weight", "transformer_blocks.0.norm1_context.linear.weight"),
    ),
    # Built of FLUX.1's blocks, with pixels coming in: noise, person and pose in one embedder, garment and pose in one.
    Signature(
        FASHN_VTON, "transformer", Naming.LDM, ("",),
        ("garment_embedder.proj.weight", "x_embedder.proj.weight", "double_blocks.0.img_attn.qkv.weight"),
        axes=(Axis("x_embedder.proj.weight", rank=4, second=7), Axis("garment_embedder.proj.weight", rank=4, second=4)),
    ),
    Signature(
        FLUX_2, "transformer", Naming.LDM, _MODEL,
        ("single_stream_modulation.lin.weight", "double_blocks.0.img_attn.qkv.weight"),
    ),
    Signature(
        FLUX_2, "transformer", Naming.DIFFUSERS, ("",),
        ("single_stream_modulation.linear.weight", "single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight"),
    ),
    Signature(
        FLUX_1, "transformer", Naming.LDM, _MODEL,
        ("double_blocks.0.img_mod.lin.weight", "double_blocks.0.img_attn.qkv.weight"),
    ),
    Signature(
        FLUX_1, "transformer", Naming.DIFFUSERS, ("",),
        ("single_transformer_blocks.0.proj_mlp.weight", "transformer_blocks.0.norm1_context.linear.weight"),
    ),
    Signature(
        QWEN_IMAGE_LAYERED, "transformer", Naming.DIFFUSERS, _MODEL,
        ("txt_norm.weight", "transformer_blocks.0.img_mod.1.weight", _LAYERED),
    ),
    Signature(
        QWEN_IMAGE, "transformer", Naming.DIFFUSERS, _MODEL,
        ("txt_norm.weight", "transformer_blocks.0.img_mod.1.weight"), (_LAYERED,),
    ),
)  # fmt: skip

KNOWN_FAMILIES: tuple[str, ...] = tuple(sorted({row.family for row in SIGNATURES} - SHARED))
