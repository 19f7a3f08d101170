"""`GET /v1/models` and `GET /v1/models/{id}`; an id may contain a slash."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from gateway.api.error_docs import errors
from gateway.api.services import Services, services_of
from gateway.pipelines.models import ServedModel

router = APIRouter()


class Model(BaseModel):
    """One model. `ownedBy` repeats `owned_by` for clients that read that spelling."""

    id: str = Field(examples=["wardrobe"])
    object: Literal["model"] = "model"
    created: int = Field(description="Unix time in seconds.")
    owned_by: str = "triptych"
    ownedBy: str = "triptych"  # noqa: N815


class ModelList(BaseModel):
    """Every model."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models", summary="Models that are served", tags=["models"])
async def list_models(services: Annotated[Services, Depends(services_of)]) -> ModelList:
    """In the order of their names."""
    return ModelList(data=[_describe(model) for model in services.models.all()])


@router.get("/v1/models/{model_id:path}", summary="One model", tags=["models"], responses=errors(404))
async def get_model(model_id: str, services: Annotated[Services, Depends(services_of)]) -> Model:
    """The id, or the id after `sd/`, as clients of ALICE write it."""
    return _describe(services.models.find(model_id))


def _describe(model: ServedModel) -> Model:
    return Model(id=model.public_id, created=model.created)
