"""Every setting of the gateway, read in one place.

Precedence: command line > environment > YAML file > default. An environment variable is `TRIPTYCH_` plus the key with
`__` between its parts: `TRIPTYCH_SERVER__PORT=9000`. An unknown key anywhere is an error that names it.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from families.schedulers import SchedulerName

_PREFIX = "TRIPTYCH_"
_DELIMITER = "__"

Scalar = str | int | float | bool | None


_file_values: ContextVar[dict[str, Any]] = ContextVar("file_values", default={})  # noqa: B039 - never changed
"""The YAML file's content during one `load`: the library's hook for sources takes no argument of ours."""


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
    default_model: str | None = Field(
        default=None, description="Served when a request names none; default: the first by name."
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
    max_concurrent: int = Field(default=16, ge=1, description="Requests in the pipelines at once.")
    max_queued: int = Field(default=64, ge=0, description="Requests that may wait beyond those; more are answered 429.")
    request_timeout: float = Field(
        default=600, gt=0, description="Seconds from arrival to the last picture, waiting included."
    )
    embedding_cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0, description="Memory for prompt embeddings.")
    embed_parameters: bool = Field(default=True, description="Write prompt, seed and settings into PNG files.")


class StorageSettings(_Section):
    """Pictures handed out as URLs."""

    images_directory: Path | None = Field(default=None, description="Default: `images` in the runtime directory.")
    url_ttl_seconds: int = Field(default=3600, ge=1, description="How long a picture and its URL live.")
    url_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs picture URLs; the same on every replica. Default: made once, kept in the runtime directory.",
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
    generation: GenerationSettings = GenerationSettings()
    storage: StorageSettings = StorageSettings()
    backend: BackendSettings = BackendSettings()
    logging: LoggingSettings = LoggingSettings()
    runtime_directory: Path = Field(
        default=Path("runtime"), description="Pictures, secrets and caches made while running."
    )

    @property
    def images_directory(self) -> Path:
        """Where pictures lie."""
        return self.storage.images_directory or self.runtime_directory / "images"

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
