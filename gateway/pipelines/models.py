"""The models this gateway serves, by the names that callers use."""

from collections.abc import Mapping
from dataclasses import dataclass

from families.catalog import ModelSource
from families.lora.files import LoraFile, find_loras
from families.manifest import ModelManifest
from gateway.domain.errors import ModelNotFound
from gateway.pipelines.prompts import PromptTokenizer

_PREFIX = "sd/"
"""Clients of ALICE put it before every id; with it or without, a name finds its model."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, its tokenizer and the adapters that were found for it. `created` is a Unix time in seconds."""

    manifest: ModelManifest
    tokenizer: PromptTokenizer
    created: int
    loras: tuple[LoraFile, ...] = ()

    @property
    def public_id(self) -> str:
        """The id that `/v1/models` lists."""
        return self.manifest.name


class ModelLibrary:
    """Looks models up by public id or bare name."""

    def __init__(self, sources: Mapping[str, ModelSource], default: str | None) -> None:
        """Reads every tokenizer. `default` None takes the first by name, of those that draw from prompts if there are
        any.

        Raises ModelNotFound for a wrong default.
        """
        self._models = {name: _serve(source) for name, source in sorted(sources.items())}
        prompted = (name for name, model in self._models.items() if _draws_from_prompts(model.manifest))
        self._default = default if default is not None else next(prompted, next(iter(self._models), None))
        if self._default is not None:
            self.find(self._default)

    def all(self) -> tuple[ServedModel, ...]:
        """Every model in the order of names."""
        return tuple(self._models.values())

    def find(self, model_id: str | None) -> ServedModel:
        """The model of this id; None means the default model. Raises ModelNotFound listing the known ids."""
        wanted = self._default if model_id is None else model_id
        if wanted is not None:
            model = self._models.get(wanted) or self._models.get(wanted.removeprefix(_PREFIX))
            if model is not None:
                return model
        known = ", ".join(model.public_id for model in self.all()) or "none: no model folder was found"
        asked = "no model was named and there is no default" if wanted is None else f"unknown model {wanted[:200]!r}"
        raise ModelNotFound(f"{asked}; available models: {known}", param="model")


def _draws_from_prompts(manifest: ModelManifest) -> bool:
    return bool(manifest.prompts) and manifest.layers is None


def _serve(source: ModelSource) -> ServedModel:
    tokenizer = PromptTokenizer(source.tokenizer_files, source.manifest.prompts)
    created = int(source.path.stat().st_mtime)
    return ServedModel(source.manifest, tokenizer, created, find_loras(source))
