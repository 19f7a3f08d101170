"""`GET /v1/models` and `GET /v1/models/{id}`; an id may contain a slash."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from families.manifest import LayerRule
from gateway.api.error_docs import errors
from gateway.api.health import backend_ready
from gateway.api.services import Services, services_of
from gateway.domain.residency import ModelState, TellsResidency, UnitStatus, model_state
from gateway.pipelines.lora import LORA_PREFIX
from gateway.pipelines.models import ServedModel

router = APIRouter()


class ModelLora(BaseModel):
    """An adapter that requests to the model may name."""

    id: str = Field(examples=["lora/stripes"])
    name: str
    rank: int = Field(description="The largest of its layers'.")
    bytes: int = Field(description="Of the file.")


class ModelLayers(BaseModel):
    """What `/v1/images/layers` may ask of a model."""

    minimum: int = Field(description="Fewest layers.")
    maximum: int = Field(description="Most layers.")
    usual: int = Field(description="How many `auto` begins with.")
    resolutions: list[int] = Field(description="The first is the default.", examples=[[640, 1024]])
    names: list[list[str]] = Field(description="Of the layers, bottom to top, for every count that has names.")


class Model(BaseModel):
    """One model. `ownedBy` repeats `owned_by` for clients that read that spelling."""

    id: str = Field(examples=["wardrobe"])
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time in seconds.")
    owned_by: str = "triptych"
    ownedBy: str = "triptych"  # noqa: N815
    state: ModelState = Field(description="Where the model is; a model that is not loaded is when it is asked for.")
    bytes: int | None = Field(
        description="Memory that its components take, or would; null where models do not come and go."
    )
    loras: list[ModelLora] = Field(description="Its LoRA, for `lora` and `<lora:name:scale>`; needs the torch runtime.")
    layers: ModelLayers | None = Field(description="How it takes pictures apart; null for models that do not.")


class ModelList(BaseModel):
    """Every model."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models", summary="Models that are served", tags=["models"])
async def list_models(services: Annotated[Services, Depends(services_of)]) -> ModelList:
    """In the order of their names."""
    memory = await _memory(services)
    return ModelList(data=[_describe(model, memory) for model in services.models.all()])


@router.get("/v1/models/{model_id:path}", summary="One model", tags=["models"], responses=errors(404))
async def get_model(model_id: str, services: Annotated[Services, Depends(services_of)]) -> Model:
    """The id, or the id after `sd/`, as clients of ALICE write it."""
    return _describe(services.models.find(model_id), await _memory(services))


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is in memory. `units` None: everything, as soon as the backend is `ready`."""

    ready: bool
    units: tuple[UnitStatus, ...] | None


async def _memory(services: Services) -> _Memory:
    backend = services.backend
    if isinstance(backend, TellsResidency):
        return _Memory(True, backend.residency().units)
    return _Memory(await backend_ready(services), None)


def _describe(model: ServedModel, memory: _Memory) -> Model:
    state, taken = _state(model, memory)
    return Model(
        id=model.public_id,
        created=model.created,
        state=state,
        bytes=taken,
        loras=_loras(model),
        layers=_layers(model.manifest.layers),
    )


def _state(model: ServedModel, memory: _Memory) -> tuple[ModelState, int | None]:
    """And the memory that it takes."""
    if memory.units is None:
        return (ModelState.LOADED if memory.ready else ModelState.LOADING), None
    units = [status for status in memory.units if status.unit.model == model.manifest.name]
    # Before the models were published nothing is known of their components.
    return (model_state(units) if units else ModelState.UNLOADED), sum(status.bytes for status in units)


def _layers(rule: LayerRule | None) -> ModelLayers | None:
    if rule is None:
        return None
    return ModelLayers(
        minimum=rule.minimum,
        maximum=rule.maximum,
        usual=rule.usual,
        resolutions=list(rule.resolutions),
        names=[list(names) for names in rule.names],
    )


def _loras(model: ServedModel) -> list[ModelLora]:
    return [
        ModelLora(id=f"{LORA_PREFIX}{file.name}", name=file.name, rank=file.rank, bytes=file.size)
        for file in model.loras
        if file.problem is None
    ]
