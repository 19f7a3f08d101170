"""All precisions side by side: one Triton that holds each under its recipe's name, and one gateway before it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ServerProcess, free_port
from benchmarks.quantisation.builds import Built
from export.publishing.options import PublishOptions
from export.publishing.publication import Publication
from export.publishing.publish import publish
from families.catalog import load_source
from families.manifest import Component, triton_model_name
from triptych.triton import TritonSettings, TritonSupervisor, locate, prepare

_READY_LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where it lies: `models` holds a link to the model's folder for every name."""

    folder: Path
    names: tuple[str, ...]

    @property
    def models(self) -> Path:
        """What the gateway is told of."""
        return self.folder / "models"

    @property
    def repository(self) -> Path:
        """What Triton serves."""
        return self.folder / "model_repository"


def deploy(builds: Sequence[Built], model: Path, folder: Path) -> Deployment:
    """Publish each build under its recipe's name. Raises PublishError."""
    deployment = Deployment(folder, tuple(built.recipe.name for built in builds))
    deployment.models.mkdir(parents=True, exist_ok=True)
    for built in builds:
        link = deployment.models / built.recipe.name
        if not link.is_symlink():
            link.symlink_to(model.resolve(), target_is_directory=True)
        source = load_source(link)
        publications = [
            Publication(source, artefact.component, PublishOptions(), artefact.folder, artefact.key)
            for artefact in built.artefacts
        ]
        publish(publications, deployment.repository)
    return deployment


@asynccontextmanager
async def serving(deployment: Deployment) -> AsyncIterator[str]:
    """The gateway's address, for as long as this is open. Raises TritonError, ServerError."""
    models = tuple(triton_model_name(name, component) for name in deployment.names for component in Component)
    settings = TritonSettings(model_repository=deployment.repository, models=models)
    port = free_port()
    command = [sys.executable, "-m", "triptych", "serve", "--port", str(port)]
    command += ["--runtime-directory", str(deployment.folder / "gateway")]
    async with TritonSupervisor(prepare(locate()), settings, deployment.folder / "triton.log") as triton:
        environment = {
            "TRIPTYCH_MODELS__DIRECTORIES": json.dumps([str(deployment.models)]),
            "TRIPTYCH_BACKEND__TRITON_URL": triton.endpoints.grpc,
        }
        with ServerProcess(command, deployment.folder / "gateway.log", environment) as gateway:
            url = f"http://127.0.0.1:{port}"
            await asyncio.to_thread(gateway.wait_until_ok, f"{url}/readyz", _READY_LIMIT_S)
            yield url
