"""`GET /v1/registry`: which models have an alias, where their files are, and what this server runs on."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from families.registry import ModelRegistry, ModelReport, UnknownAlias
from gateway.adapters.machine import describe_machine
from gateway.api.error_docs import errors
from gateway.api.services import Services, services_of
from gateway.domain.errors import ModelNotFound
from gateway.domain.machine import Machine

router = APIRouter()


class RegistryReport(BaseModel):
    """The machine, and one report an alias, in the order of the registry file."""

    object: Literal["registry"] = "registry"
    system: Machine
    data: list[ModelReport]
    problems: list[str] = Field(description="What is wrong beside the models, such as variables of no known alias.")


@router.get("/v1/registry", summary="Models by alias, and the machine", tags=["operations"], responses=errors(404))
async def get_registry(
    services: Annotated[Services, Depends(services_of)],
    alias: Annotated[str | None, Query(description="Only this one; default: all.", examples=["sd15"])] = None,
) -> RegistryReport:
    """Looks at the disk and loads no model. Hashes that are not known yet are `pending` and computed meanwhile."""
    return await asyncio.to_thread(_report, services.registry, alias)


def _report(registry: ModelRegistry, alias: str | None) -> RegistryReport:
    aliases = registry.aliases if alias is None else (alias,)
    try:
        reports = [registry.report(name) for name in aliases]
    except UnknownAlias as error:
        raise ModelNotFound(str(error), param="alias") from error
    return RegistryReport(system=describe_machine(), data=reports, problems=list(registry.problems))
