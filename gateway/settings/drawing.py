"""Requests that draw: generation and try-on."""

from pydantic import Field

from families.schedulers import SchedulerName
from gateway.domain.tryon_options import FEW_STEPS, ModeOptions, TryOnOptions
from gateway.settings.section import Section


class GenerationSettings(Section):
    """Defaults and limits of generation requests."""

    default_steps: int | None = Field(
        default=None, ge=1, le=150, description="Default: what the model recommends (25 for Stable Diffusion 1.x)."
    )
    default_guidance_scale: float | None = Field(
        default=None, ge=0, le=20, allow_inf_nan=False, description="Default: what the model recommends (7.5)."
    )
    default_scheduler: SchedulerName | None = Field(
        default=None, description="Default: what the model recommends (dpm++_sde_karras)."
    )
    default_seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**32,
        description="Of requests that name none, which then repeat their pictures; default: a new one each time.",
    )
    max_concurrent: int = Field(default=16, ge=1, description="Requests in the pipelines at once.")
    max_queued: int = Field(default=64, ge=0, description="Requests that may wait beyond those; more are answered 429.")
    request_timeout: float = Field(
        default=600, gt=0, description="Seconds from arrival to the last picture, waiting included."
    )
    embedding_cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0, description="Memory for prompt embeddings.")
    embed_parameters: bool = Field(default=True, description="Write prompt, seed and settings into PNG files.")


class TryOnSettings(Section):
    """People in other clothes. What is None here, and not asked for either, is as the model recommends."""

    fast_model: str | None = Field(default=None, description="Default: the first model by name that does try-on.")
    fast_steps: int | None = Field(
        default=None,
        ge=1,
        le=150,
        description="Of requests that do not say; default: a quarter of what the model recommends, "
        f"at most {FEW_STEPS}.",
    )
    fast_guidance_scale: float | None = Field(default=None, ge=0, le=20, allow_inf_nan=False)
    premium_model: str | None = Field(default=None, description="Default: the first model by name that does try-on.")
    premium_steps: int | None = Field(
        default=None, ge=1, le=150, description="Of requests that do not say; default: as many as the model recommends."
    )
    premium_guidance_scale: float | None = Field(default=None, ge=0, le=20, allow_inf_nan=False)
    premium_candidates: int = Field(
        default=4, ge=1, le=16, description="Drawings of a request, of which the best are answered."
    )
    premium_refine: bool = Field(
        default=True, description="Go over all of them again, and let what comes of it be judged with them."
    )
    parser: str = Field(default="wardrobe-parser", description="The model that tells people, garments and joints.")
    pose: str | None = Field(default=None, description="A model that tells joints; default: the parser's own.")
    matting: str | None = Field(
        default=None, description="A model that cuts garments out of their pictures; default: the parser does."
    )
    garment_ground: str = Field(
        default="#f4f3f0",
        pattern=r"^#[0-9a-fA-F]{6}$",
        description="The colour that garments are laid on, as the try-on models saw them in training.",
    )

    @property
    def options(self) -> TryOnOptions:
        """What the pipeline takes."""
        red, green, blue = bytes.fromhex(self.garment_ground[1:])
        return TryOnOptions(
            fast=ModeOptions(
                self.fast_model,
                self.fast_steps,
                self.fast_guidance_scale,
                None,
                candidates=1,
                few_steps=True,
            ),
            premium=ModeOptions(
                self.premium_model,
                self.premium_steps,
                self.premium_guidance_scale,
                None,
                self.premium_candidates,
                self.premium_refine,
            ),
            ground=(red, green, blue),
            parser=self.parser,
            pose=self.pose,
            matting=self.matting,
        )
