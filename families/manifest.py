"""A model as data: everything the export, the engine and the gateway must agree on about it."""

from dataclasses import dataclass
from enum import StrEnum

from families.tensors import ComponentSignature


class Component(StrEnum):
    """Parts of a model that are served on their own; Triton's model name is `<model>.<component>`."""

    TEXT_ENCODER = "text_encoder"
    DENOISER = "denoiser"
    VAE_DECODER = "vae_decoder"


class Prediction(StrEnum):
    """What the denoiser's output means (diffusers' `prediction_type`, plus flow matching)."""

    EPSILON = "epsilon"
    V = "v_prediction"
    FLOW = "flow"


class LatentKind(StrEnum):
    """How a latent lies in memory."""

    NCHW = "nchw"
    PACKED = "packed"
    PIXEL = "pixel"


class GuidanceKind(StrEnum):
    """How classifier-free guidance is evaluated: not at all, or negative and positive as two rows of one batch."""

    NONE = "none"
    BATCHED = "batched"


@dataclass(frozen=True, slots=True)
class LatentLayout:
    """Latents of one picture. `downscale` is pixels per latent cell along each side."""

    kind: LatentKind
    channels: int
    downscale: int
    scaling_factor: float
    shift_factor: float


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """The noise schedule the model was trained on; field names are those of diffusers' scheduler configs."""

    num_train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: str
    prediction: Prediction
    timestep_spacing: str
    steps_offset: int
    set_alpha_to_one: bool


@dataclass(frozen=True, slots=True)
class SizeRule:
    """Picture sides that the model accepts, in pixels."""

    multiple: int
    minimum: int
    maximum: int
    default_width: int
    default_height: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """What the model recommends where a request is silent."""

    steps: int
    guidance_scale: float
    scheduler: str


@dataclass(frozen=True, slots=True)
class PromptRule:
    """Tokenised prompts: fixed padding, so that shapes never depend on the text. Ids are int64."""

    length: int
    begin_id: int
    end_id: int
    pad_id: int


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """One model. `text_encoder`, `denoiser`, `vae_decoder` are the signatures of its components.

    The denoiser's inputs are `sample`, `timestep` and then its named conditions; the conditions are exactly the text
    encoder's outputs, so a pipeline can hand them on without knowing the family.
    """

    name: str
    family: str
    licence: str
    latent: LatentLayout
    noise: NoiseSchedule
    guidance: GuidanceKind
    size: SizeRule
    defaults: SamplingDefaults
    prompt: PromptRule
    text_encoder: ComponentSignature
    denoiser: ComponentSignature
    vae_decoder: ComponentSignature

    def signature(self, component: Component) -> ComponentSignature:
        """The signature of one component."""
        return {
            Component.TEXT_ENCODER: self.text_encoder,
            Component.DENOISER: self.denoiser,
            Component.VAE_DECODER: self.vae_decoder,
        }[component]

    @property
    def condition_names(self) -> tuple[str, ...]:
        """Names of the denoiser's conditions: its inputs after `sample` and `timestep`."""
        return tuple(spec.name for spec in self.denoiser.inputs[2:])


def triton_model_name(model: str, component: Component) -> str:
    """The name under which Triton serves one component of a model."""
    return f"{model}.{component.value}"
