"""Every setting of the gateway, read in one place.

Precedence: command line > environment > YAML file > default. An environment variable is `TRIPTYCH_` plus the key with
`__` between its parts: `TRIPTYCH_SERVER__PORT=9000`. An unknown key anywhere is an error that names it.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from families.schedulers import SchedulerName
from families.torch_options import AttentionSlicing, CompileMode, Offload, Switch, TorchDType, TorchOptions
from gateway.domain.tryon_options import ModeOptions, TryOnOptions

_PREFIX = "TRIPTYCH_"
_DELIMITER = "__"
_HOST = r"^(\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+)(:[0-9]{1,5})?$"

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

Scalar = str | int | float | bool | None


_file_values: ContextVar[dict[str, Any]] = ContextVar("file_values", default={})  # noqa: B039 - never changed
"""The YAML file's content during one `load`: the library's hook for sources takes no argument of ours."""

_FEW_STEPS = 6
"""Of a fast try-on, where the model recommends more."""


class SettingsError(ValueError):
    """The configuration cannot be used; the message names file, key and reason, one a line."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """Where and how the gateway listens."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Base of the picture URLs handed out, e.g. https://images.example.org; default: the request's own.",
    )
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, description="Largest request body.")
    drain_seconds: float = Field(default=30, ge=0, description="How long a shutdown waits for work under way.")


class ModelSettings(_Section):
    """Which models are served."""

    directories: tuple[Path, ...] = Field(
        default=(), description="Folders that hold diffusers model folders; the first that has a name wins."
    )
    aliases: tuple[str, ...] | None = Field(
        default=None,
        description="Aliases of the registry that are served too, each one an error if it cannot be; "
        "default: all that a variable or a root leads to, with a warning for what cannot be served.",
    )
    lora_directories: tuple[Path, ...] = Field(
        default=(), description="Folders of LoRA for every model that they fit, beside each model's own `loras`."
    )
    default_model: str | None = Field(
        default=None, description="Served when a request names none; default: the first by name."
    )


class RegistrySettings(_Section):
    """Where models are looked for by alias."""

    file: Path | None = Field(default=None, description="YAML file of aliases; default: the shipped one.")
    roots: tuple[Path, ...] = Field(
        default=(Path("storage"), Path("manual_downloads"), Path("third_party")),
        min_length=1,
        description="Folders that are searched in this order and never written to.",
    )


class GenerationSettings(_Section):
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


class UploadSettings(_Section):
    """Pictures that come in."""

    max_body_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest request body where files come in, all of them together."
    )
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        description="Largest picture, by its header; one takes up to 12 bytes a pixel of memory while it is read.",
    )


class FetchSettings(_Section):
    """Pictures that come in as http(s) links."""

    enabled: bool = Field(default=True, description="Off: links are refused, and nothing leaves this machine.")
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(80, 443), min_length=1, description="Ports that links may lead to."
    )
    trusted_hosts: tuple[Annotated[str, Field(pattern=_HOST)], ...] = Field(
        default=(),
        description="Hosts that may have private addresses, such as a CDN of one's own: `host`, or `host:port` for a "
        "port that is not allowed otherwise.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of certificate authorities that are trusted beside the public ones."
    )
    max_bytes: int = Field(default=20 * 1024 * 1024, ge=1, description="Largest file that is fetched.")
    max_redirects: int = Field(default=3, ge=0, description="Redirects of one link; each is checked like the link.")
    timeout_seconds: float = Field(
        default=10, gt=0, description="Of one link, from the look-up of its name to the last byte."
    )


class StorageSettings(_Section):
    """Pictures handed out as URLs."""

    images_directory: Path | None = Field(default=None, description="Default: `images` in the runtime directory.")
    url_ttl_seconds: int = Field(default=3600, ge=1, description="How long a picture and its URL live.")
    url_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs picture URLs; the same on every replica. Default: made once, kept in the runtime directory.",
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host:5432/name, shared by every replica; "
        "default: SQLite in the runtime directory.",
    )
    bucket: str | None = Field(
        default=None, min_length=1, description="S3 bucket for pictures instead of the local folder; must exist."
    )
    bucket_prefix: str = Field(default="", description="Before every key in the bucket.")
    bucket_region: str | None = Field(default=None, description="Default: AWS_REGION.")
    bucket_endpoint: str | None = Field(
        default=None, pattern=r"^https?://", description="Of stores that speak S3, such as MinIO; default: AWS."
    )
    bucket_access_key_id: SecretStr | None = Field(
        default=None, description="Default: as AWS' own tools find them, e.g. AWS_ACCESS_KEY_ID or the instance's role."
    )
    bucket_secret_access_key: SecretStr | None = Field(default=None, description="Of that key.")


class JobSettings(_Section):
    """Work that is answered later: requests with `async`."""

    max_active: int = Field(
        default=4, ge=1, description="Jobs that this gateway does at once; each takes one of generation.max_concurrent."
    )
    max_queued: int = Field(
        default=256, ge=1, description="Jobs that may wait, in all replicas together; more are answered 429."
    )
    result_ttl_seconds: float = Field(
        default=86_400, gt=0, description="How long a job that has ended keeps its result and pictures; then 410."
    )
    tombstone_seconds: float = Field(default=604_800, ge=0, description="After that 410 becomes 404.")
    lease_seconds: float = Field(
        default=15, gt=0, description="A gateway silent for so long is taken for dead, and its jobs are begun anew."
    )
    max_attempts: int = Field(default=5, ge=1, description="How often a job is begun before it fails.")
    listing: bool | None = Field(
        default=None,
        description="Whether GET /v1/jobs shows everybody's jobs; default: only where the server listens on loopback "
        "and has no public_url.",
    )


class TryOnSettings(_Section):
    """People in other clothes. What is None here, and not asked for either, is as the model recommends."""

    fast_model: str | None = Field(default=None, description="Default: the first model by name that does try-on.")
    fast_steps: int | None = Field(
        default=None,
        ge=1,
        le=150,
        description=f"Of requests that do not say; default: as many as the model recommends, at most {_FEW_STEPS}.",
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
        default=True, description="Draw one more from what the others have in common, and let it be judged with them."
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
                most_steps=_FEW_STEPS,
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


class BackendSettings(_Section):
    """What runs the models."""

    kind: Literal["triton", "inprocess"] = Field(
        default="triton", description="NVIDIA Triton, or the engine in this process."
    )
    runtime: Literal["onnxruntime", "torch"] = Field(default="onnxruntime", description="What executes the components.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the runtime; default: one a core.")
    triton_url: str | None = Field(
        default=None,
        min_length=1,
        description="gRPC address, host:port, of a Triton that somebody else runs; default: one of our own.",
    )
    call_timeout: float = Field(default=60, gt=0, description="Seconds for one text encoding or decode in Triton.")


class ResidencySettings(_Section):
    """Which models are in memory. Without a budget and a timeout all of them are, from the start."""

    budget_bytes: int | None = Field(
        default=None, ge=1, description="Memory of the models' device that they may take together."
    )
    auto_unload_timeout: float | None = Field(
        default=None, gt=0, description="Seconds after which a model that nobody used leaves memory."
    )
    host_budget_bytes: int = Field(
        default=0,
        ge=0,
        description="Host memory for models that left a GPU's, of the torch runtime in the gateway's process.",
    )
    pinned: tuple[str, ...] = Field(default=(), description="Models that are loaded at the start and never leave.")
    wait_timeout: float = Field(
        default=120, gt=0, description="Seconds that a request waits for its model to be loaded; then 503."
    )

    @model_validator(mode="after")
    def _pinned_beside_others(self) -> Self:
        if self.pinned and not self.on_demand:
            raise ValueError("pinned models need budget_bytes or auto_unload_timeout: otherwise every model stays")
        if self.host_budget_bytes and not self.on_demand:
            raise ValueError("host_budget_bytes needs budget_bytes or auto_unload_timeout: otherwise every model stays")
        return self

    @property
    def on_demand(self) -> bool:
        """Whether models come and go."""
        return self.budget_bytes is not None or self.auto_unload_timeout is not None


class HardwareSettings(_Section):
    """What the models compute with. All but `device` is the torch runtime's."""

    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$",
        description="auto, cpu, mps, cuda or cuda:N; ROCm's GPUs are cuda too.",
    )
    dtype: TorchDType = Field(default=TorchDType.AUTO, description="auto: float32, on NVIDIA GPUs bfloat16.")
    vae_slicing: Switch = Field(default=Switch.AUTO, description="Decode a batch picture by picture.")
    vae_tiling: Switch = Field(default=Switch.AUTO, description="Decode large pictures in overlapping tiles.")
    attention_slicing: AttentionSlicing | None = Field(
        default=None, description="Attention of UNets in pieces; default: what the device needs."
    )
    offload: Offload = Field(
        default=Offload.NONE,
        description="Weights wait in host memory: whole components (model) or layers (sequential).",
    )
    compile: CompileMode = Field(default=CompileMode.NONE, description="torch.compile's mode.")

    @property
    def torch_options(self) -> TorchOptions:
        """What the torch runtime takes."""
        return TorchOptions(
            dtype=self.dtype,
            vae_slicing=self.vae_slicing,
            vae_tiling=self.vae_tiling,
            attention_slicing=self.attention_slicing,
            offload=self.offload,
            compile=self.compile,
        )


class UiSettings(_Section):
    """The page."""

    enabled: bool = Field(default=True, description="Serve `/ui`, where the extra `ui` is installed.")


class LoggingSettings(_Section):
    """What is logged, to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter=_DELIMITER, extra="forbid", frozen=True, validate_default=True
    )

    server: ServerSettings = ServerSettings()
    models: ModelSettings = ModelSettings()
    registry: RegistrySettings = RegistrySettings()
    generation: GenerationSettings = GenerationSettings()
    uploads: UploadSettings = UploadSettings()
    fetch: FetchSettings = FetchSettings()
    storage: StorageSettings = StorageSettings()
    jobs: JobSettings = JobSettings()
    tryon: TryOnSettings = TryOnSettings()
    backend: BackendSettings = BackendSettings()
    residency: ResidencySettings = ResidencySettings()
    hardware: HardwareSettings = HardwareSettings()
    ui: UiSettings = UiSettings()
    logging: LoggingSettings = LoggingSettings()
    runtime_directory: Path = Field(
        default=Path("runtime"), description="Pictures, secrets and caches made while running."
    )

    @property
    def images_directory(self) -> Path:
        """Where pictures lie."""
        return self.storage.images_directory or self.runtime_directory / "images"

    @property
    def lists_jobs(self) -> bool:
        """Whether whoever reaches the server may see all jobs."""
        if self.jobs.listing is not None:
            return self.jobs.listing
        return self.server.public_url is None and self.server.host in _LOOPBACK

    @classmethod
    def load(cls, config_file: Path | None = None, overrides: Mapping[str, Scalar] | None = None) -> Self:
        """Read file and environment. `overrides` are dotted keys of the command line, e.g. `server.port`; None values
        are left out. Raises SettingsError.
        """
        _check_environment(cls)
        from_file = {} if config_file is None else _read_yaml(config_file)
        from_line = _nest({key: value for key, value in (overrides or {}).items() if value is not None})

        token = _file_values.set(from_file)
        try:
            return cls(**from_line)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from error
        finally:
            _file_values.reset(token)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Ours, in the order of precedence."""
        return init_settings, env_settings, _Fixed(settings_cls, _file_values.get())


class _Fixed(PydanticBaseSettingsSource):
    """A mapping read beforehand."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Part of the interface; `__call__` gives everything at once."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"configuration file {path}: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"configuration file {path}: the top level must be a mapping of sections")
    return loaded


def _nest(dotted: Mapping[str, Scalar]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in dotted.items():
        *sections, last = key.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return nested


def _check_environment(settings: type[BaseSettings]) -> None:
    """The library reads only variables of known sections; a misspelt section would pass in silence."""
    for variable in os.environ:
        section, delimiter, _ = variable.removeprefix(_PREFIX).partition(_DELIMITER)
        if variable.startswith(_PREFIX) and delimiter and section.lower() not in settings.model_fields:
            known = ", ".join(settings.model_fields)
            raise SettingsError(f"environment variable {variable}: unknown section {section.lower()!r}; known: {known}")


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        reason = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"]
        lines.append(f"setting {key}: {reason}")
    return "\n".join(lines)
