"""The whole configuration."""

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.settings.drawing import GenerationSettings, TryOnSettings
from gateway.settings.incoming import FetchSettings, UploadSettings
from gateway.settings.kept import JobSettings, StorageSettings
from gateway.settings.models import (
    BackendSettings,
    HardwareSettings,
    ModelSettings,
    RegistrySettings,
    ResidencySettings,
)
from gateway.settings.serving import LoggingSettings, ServerSettings, UiSettings
from gateway.settings.sources import (
    DELIMITER,
    PREFIX,
    Fixed,
    Scalar,
    SettingsError,
    check_environment,
    explain,
    nest,
    read_yaml,
)

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_file_values: ContextVar[dict[str, Any]] = ContextVar("file_values", default={})  # noqa: B039 - never changed
"""The YAML file's content during one `load`: the library's hook for sources takes no argument of ours."""


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True, validate_default=True
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
        check_environment(cls)
        from_file = {} if config_file is None else read_yaml(config_file)
        from_line = nest({key: value for key, value in (overrides or {}).items() if value is not None})

        token = _file_values.set(from_file)
        try:
            return cls(**from_line)
        except ValidationError as error:
            raise SettingsError(explain(error)) from error
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
        return init_settings, env_settings, Fixed(settings_cls, _file_values.get())
