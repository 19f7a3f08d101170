"""A model as data: everything the export, the engine and the gateway must agree on about it."""

from dataclasses import dataclass
from enum import StrEnum

from families.tensors import ComponentSignature, TensorSpec
from families.try_on_rule import TryOnRule


class Component(StrEnum):
    """Parts of a model that are served on their own; Triton's model name is `<model>.<component>`."""

    TEXT_ENCODER = "text_encoder"
    DENOISER = "denoiser"
    VAE_ENCODER = "vae_encoder"
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
    """How classifier-free guidance is evaluated: not at all, or negative and positive as two rows of one batch.

    RENORMALISED is BATCHED whose result gets back, at each latent cell, the norm of the positive prediction.
    """

    NONE = "none"
    BATCHED = "batched"
    RENORMALISED = "renormalised"


@dataclass(frozen=True, slots=True)
class LatentLayout:
    """Latents of one picture. `downscale` is pixels per latent cell along each side.

    `noise_patch`: noise is drawn as [channels / p^2, h * p, w * p] and folded to [channels, h, w], the order in which
    the family's reference draws it (channel, row in the patch, column in the patch). A mask's cells are as fine.
    """

    kind: LatentKind
    channels: int
    downscale: int
    scaling_factor: float
    shift_factor: float
    noise_patch: int = 1

    @property
    def mask_cell(self) -> int:
        """Pixels along each side of a mask's cell."""
        return self.downscale // self.noise_patch


class MuRule(StrEnum):
    """How a flow schedule's time shift depends on the picture's size; tokens are patches of latent cells.

    LINEAR in the tokens, by the reference's `calculate_shift`; EMPIRICAL in tokens and steps, as FLUX.2's; SQUARE_ROOT
    of the tokens over `base_tokens`, as Qwen-Image-Layered's.
    """

    FIXED = "fixed"
    LINEAR = "linear"
    EMPIRICAL = "empirical"
    SQUARE_ROOT = "square_root"


@dataclass(frozen=True, slots=True)
class FlowRule:
    """The time shift of a flow model; names are those of diffusers' FlowMatchEulerDiscreteScheduler.

    `shift` holds where `mu` is FIXED, the others elsewhere. `linear_sigmas`: steps are spread evenly from 1 to 1 /
    steps before the shift; otherwise as the scheduler spreads them. `patch`: latent cells along each side of a token.
    """

    shift: float = 1.0
    mu: MuRule = MuRule.FIXED
    base_shift: float = 0.5
    max_shift: float = 1.15
    base_tokens: int = 256
    max_tokens: int = 4096
    time_shift: str = "exponential"
    terminal: float | None = None
    linear_sigmas: bool = False
    patch: int = 1


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """The noise schedule the model was trained on; field names are those of diffusers' scheduler configs.

    `timestep_spacing` is empty where the model says nothing: then each scheduler spaces its steps in its own way.
    `flow` is None for diffusion models; flow models leave the betas at 0.
    """

    num_train_timesteps: int
    beta_start: float
    beta_end: float
    beta_schedule: str
    prediction: Prediction
    timestep_spacing: str
    steps_offset: int
    set_alpha_to_one: bool
    flow: FlowRule | None = None


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
class PictureRule:
    """Pictures that a text encoder looks at, at most `most`; their sizes are `families.picture_size.looked_at`.

    `words` stands before the user's own words once a picture, with the picture's number at `{number}` and `token` at
    `{picture}`, as often as the picture has squares of `merge` x `merge` patches. `patch`: pixels along a patch's side.
    `patches` and `grid` name the text encoder's inputs for the pixels and for how many rows and columns of patches each
    picture has.
    """

    most: int
    area: int
    multiple: int
    minimum: int
    maximum: int
    patch: int
    merge: int
    words: str
    token: str
    patches: str = "picture_patches"
    grid: str = "picture_grid"


@dataclass(frozen=True, slots=True)
class PromptRule:
    """One tokenizer's prompts: fixed padding, so that shapes never depend on the text. Ids are int64.

    `input` names the text encoder's input that takes the ids, `mask` the one that takes bool True where a token is no
    padding; `file` is the tokenizer's place in the model's folder. `begin_id` and `end_id` None: not written.
    `template` holds the user's words at `{}`. `chunked`: a longer prompt is read in several pieces of `length`, whose
    contexts are joined. `pictures`: the encoder also looks at reference pictures, which are told of before the words.
    """

    length: int
    begin_id: int | None
    end_id: int | None
    pad_id: int
    input: str = "input_ids"
    mask: str | None = None
    file: str = "tokenizer/tokenizer.json"
    template: str = "{}"
    chunked: bool = False
    pictures: PictureRule | None = None


@dataclass(frozen=True, slots=True)
class ReferenceRule:
    """Reference pictures whose latent cells are appended to the denoiser's tokens as the condition `reference`.

    At most `most` of them, each scaled down to at most `area` pixels. `multiple`: whatever its size, each is scaled to
    about `area` pixels, its sides rounded to this multiple (`families.picture_size.of_area`).
    """

    most: int
    area: int
    multiple: int | None = None


@dataclass(frozen=True, slots=True)
class LayerRule:
    """A model that takes one picture, RGBA, apart. Its latents are frames of one size, one above the other: first the
    picture as a whole, which nobody is handed, then the layers from the bottom to the top.

    The picture is scaled to about one of the `resolutions` squared, sides rounded to `multiple`. `usual`: how many
    layers where a request leaves it open. `names`: those of the layers, bottom to top, for every count that has names.
    """

    minimum: int = 2
    maximum: int = 10
    usual: int = 4
    resolutions: tuple[int, ...] = (640, 1024)
    multiple: int = 32
    names: tuple[tuple[str, ...], ...] = ()

    def frames(self, layers: int | None = None) -> int:
        """Frames of a request for so many layers, by default for as many as are usual."""
        return 1 + (self.usual if layers is None else layers)


REFERENCE = "reference"
"""The denoiser's condition [reference_length, channels]: latent cells of every reference picture, row by row."""


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """One model. `text_encoder`, `denoiser`, `vae_encoder`, `vae_decoder` are the signatures of its components; one
    without tensors is a component that the model does not have.

    The denoiser's inputs are `sample`, `timestep` and then its named conditions, in this order: the text encoder's
    outputs, which a pipeline hands on without knowing the family; those of the `try_on` rule; `reference`, where there
    is a `references` rule; and what `families.catalog.Family.derive` computes from sizes alone.
    """

    name: str
    family: str
    licence: str
    latent: LatentLayout
    noise: NoiseSchedule
    guidance: GuidanceKind
    size: SizeRule
    defaults: SamplingDefaults
    prompts: tuple[PromptRule, ...]
    text_encoder: ComponentSignature
    denoiser: ComponentSignature
    vae_encoder: ComponentSignature
    vae_decoder: ComponentSignature
    references: ReferenceRule | None = None
    empty_negative_is_zero: bool = False
    """An empty negative prompt means conditions of zeros, not the empty text's."""
    try_on: TryOnRule | None = None
    """The model dresses people: it takes a person and a garment."""
    layers: LayerRule | None = None
    """The model takes pictures apart: its one reference is the picture, as large as each of its frames."""

    def signature(self, component: Component) -> ComponentSignature:
        """The signature of one component."""
        return {
            Component.TEXT_ENCODER: self.text_encoder,
            Component.DENOISER: self.denoiser,
            Component.VAE_ENCODER: self.vae_encoder,
            Component.VAE_DECODER: self.vae_decoder,
        }[component]

    @property
    def components(self) -> tuple[Component, ...]:
        """The components that this model has."""
        return tuple(component for component in Component if self.signature(component).outputs)

    @property
    def given(self) -> tuple[TensorSpec, ...]:
        """The conditions that a request brings: the text encoder's outputs, then those of the try-on rule."""
        if self.try_on is None:
            return self.text_encoder.outputs
        denoiser = {spec.name: spec for spec in self.denoiser.inputs}
        return (*self.text_encoder.outputs, *(denoiser[condition.name] for condition in self.try_on.conditions))

    def latent_size(self, height: int, width: int, layers: int | None = None) -> tuple[int, int]:
        """Rows and columns of the latents that the denoiser works on, for a picture of so many pixels.

        `layers`: how many of them a layered model takes it apart into, by default as many as are usual.
        """
        rows, columns = height // self.latent.downscale, width // self.latent.downscale
        if self.layers is not None:
            return rows * self.layers.frames(layers), columns
        return (rows, columns) if self.try_on is None else self.try_on.stacked(rows, columns)

    @property
    def default_latent_size(self) -> tuple[int, int]:
        """`latent_size` of the model's default picture."""
        return self.latent_size(self.size.default_height, self.size.default_width)

    @property
    def picture_rule(self) -> PictureRule | None:
        """How the text encoder is shown reference pictures; None: it does not look at any."""
        return next((rule.pictures for rule in self.prompts if rule.pictures is not None), None)

    @property
    def guided(self) -> bool:
        """Whether classifier-free guidance means anything to this model."""
        return self.guidance is not GuidanceKind.NONE


def triton_model_name(model: str, component: Component) -> str:
    """The name under which Triton serves one component of a model."""
    return f"{model}.{component.value}"
