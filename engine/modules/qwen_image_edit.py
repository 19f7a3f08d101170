"""Qwen-Image-Edit's text encoder, which looks at pictures, and its denoiser, which takes their latents as tokens."""

import torch
from diffusers import QwenImageTransformer2DModel
from torch import nn
from transformers import Qwen2_5_VLModel

from engine.modules.qwen_image_transformer import Transformer

_INSTRUCTION = 64
"""Tokens of the template before the pictures: they steer the encoder, the transformer never sees them."""
# CLIP's, with which Qwen2.5-VL was trained.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class TextEncoder(nn.Module):
    """input_ids int64 [B, N], token_mask bool [B, N], patches uint8 [B, P, 3 p p], grid int64 [B, M, 2] -> context
    float32 [B, N - 64, D], context_mask bool [B, N - 64].

    `grid`: rows and columns of patches of each picture, zeros where there is none; `patches`: those of all pictures of
    a row, one after another, P the same for all rows. A token for pictures stands for `merge` x `merge` patches; more
    such tokens than there are patches are mere words.
    """

    def __init__(self, encoder: Qwen2_5_VLModel) -> None:
        super().__init__()
        encoder.visual.patch_embed = _flat_patches(encoder.visual.patch_embed.proj)
        self.encoder = encoder
        self.mean, self.deviation = (
            nn.Buffer(torch.tensor(values).view(1, -1, 1), persistent=False) for values in (_MEAN, _DEVIATION)
        )

    def forward(
        self, input_ids: torch.Tensor, token_mask: torch.Tensor, patches: torch.Tensor, grid: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        language_model = self.encoder.language_model
        embedded, positions = language_model.embed_tokens(input_ids), None
        if patches.shape[1]:
            features, sizes = self._look(patches, grid)
            places = input_ids == self.encoder.config.image_token_id
            order = places.cumsum(dim=1) - 1
            places = places & (order < features.shape[1])
            chosen = order.clamp(0, features.shape[1] - 1)[..., None].expand(-1, -1, features.shape[2])
            embedded = torch.where(places[..., None], features.gather(1, chosen), embedded)
            # The model was trained with rows and columns as positions of what it sees.
            positions, _ = self.encoder.get_rope_index(input_ids, places.int(), sizes, attention_mask=token_mask)
        # Attention is causal and padding comes last, so no token that counts ever sees any: no mask is needed.
        hidden = language_model(inputs_embeds=embedded, position_ids=positions, use_cache=False).last_hidden_state
        mask = token_mask[:, _INSTRUCTION:]
        return hidden[:, _INSTRUCTION:] * mask.unsqueeze(-1), mask

    def _look(self, patches: torch.Tensor, grid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features [B, P / (merge merge), D], and (1, rows, columns) of every picture of every row [pictures, 3]."""
        vision = self.encoder.visual
        sizes = grid.flatten(0, 1)
        sizes = torch.nn.functional.pad(sizes[sizes[:, 0] > 0], (1, 0), value=1)
        pixels = patches.reshape(-1, len(_MEAN), vision.config.patch_size**2).to(torch.float32) / 255
        seen: torch.Tensor = vision(((pixels - self.mean) / self.deviation).flatten(1), grid_thw=sizes).pooler_output
        return seen.reshape(patches.shape[0], -1, seen.shape[-1]), sizes


def _flat_patches(films: nn.Conv3d) -> nn.Linear:
    """The embedding of a patch [3 p p] that stands still through all the frames of a film's patch."""
    made = nn.Linear(films.weight[0, :, 0].numel(), films.out_channels, bias=False, device="meta")
    made.weight = nn.Parameter(films.weight.sum(dim=2).flatten(1), requires_grad=False)
    return made


class Denoiser(nn.Module):
    """sample float32 [B, 64, h, w], timestep float32 [B] in 0..1000, context float32 [B, N, D], context_mask bool
    [B, N], reference float32 [B, R, 64] and the rotations of `families.qwen_image_edit.derive` -> velocity
    [B, 64, h, w]. R may be 0.
    """

    def __init__(self, transformer: QwenImageTransformer2DModel) -> None:
        super().__init__()
        self.transformer: nn.Module = Transformer(transformer)

    def forward(  # noqa: PLR0917 - one parameter an input
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
        context_mask: torch.Tensor,
        reference: torch.Tensor,
        latent_cos: torch.Tensor,
        latent_sin: torch.Tensor,
        reference_cos: torch.Tensor,
        reference_sin: torch.Tensor,
        text_cos: torch.Tensor,
        text_sin: torch.Tensor,
    ) -> torch.Tensor:
        """See the class."""
        cells = sample.flatten(2).transpose(1, 2)
        tokens = torch.cat((cells, reference), dim=1)
        image_cos = torch.cat((latent_cos.flatten(1, 2), reference_cos), dim=1)
        image_sin = torch.cat((latent_sin.flatten(1, 2), reference_sin), dim=1)
        rotations = (image_cos, image_sin, text_cos, text_sin)
        answer: torch.Tensor = self.transformer(tokens, timestep / 1000, context, context_mask, *rotations)
        return answer[:, : cells.shape[1]].transpose(1, 2).reshape(sample.shape)
