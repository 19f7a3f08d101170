"""The usual server: FastAPI around a pipeline behind a lock, one picture at a time, in order of arrival.

The lock is a single thread that owns the pipeline: fair, and torch keeps one thread team. PNGs are encoded outside it.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from benchmarks.client import ROUTE
from benchmarks.peers.pipeline import Pipeline
from benchmarks.peers.wire import GeneratedImage, GenerationAnswer, GenerationBody, encode


def create_app(folder: Path) -> FastAPI:
    """The application; the model loads during start-up, so answering at all means being ready."""
    owner = ThreadPoolExecutor(max_workers=1)
    pipelines: list[Pipeline] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pipelines.append(await asyncio.get_running_loop().run_in_executor(owner, Pipeline, folder))
        yield
        owner.shutdown(cancel_futures=True)

    app = FastAPI(lifespan=lifespan)

    @app.get("/livez")
    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ok"}

    @app.post(ROUTE)
    async def generate(body: GenerationBody) -> GenerationAnswer:
        images = await asyncio.get_running_loop().run_in_executor(owner, pipelines[0].draw, [body.request()])
        png = await asyncio.to_thread(encode, images[0])
        return GenerationAnswer(created=int(time.time()), data=[GeneratedImage(b64_json=png)])

    return app


def main() -> None:
    """Serve one model folder on the loopback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    uvicorn.run(create_app(arguments.model), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
