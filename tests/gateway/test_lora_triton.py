"""LoRA on a real Triton: requests with different adapters share it and do not blend."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import openai
import pytest
from PIL import Image

from export.publishing.options import PublishOptions, Runtime
from export.publishing.prepare import prepare_model
from families.catalog import load_source
from gateway.adapters.triton import TritonBackend
from gateway.settings import BackendSettings
from tests.gateway.server import serve
from tests.support.tiny_lora import attention, everything, write_kohya, write_peft
from tests.support.tiny_sd15 import write_tiny_sd15
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare

pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]

BOTH = ("unet", "text_encoder")
SETS: tuple[list[dict[str, object]], ...] = (
    [],
    [{"name": "style", "scale": 0.8}],
    [{"name": "subject", "scale": -0.6}],
    [{"name": "subject", "scale": 0.5}, {"name": "style", "scale": 0.4}],
)
PATIENT = RestartPolicy(startup_deadline_s=600, poll_s=0.2)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, the real gateway, the real Triton and the torch runtime."""
    root: Path = tmp_path_factory.mktemp("lora")
    model = write_tiny_sd15(root / "sd15")
    write_kohya(model, model / "loras" / "style.safetensors", parts=BOTH, chosen=everything, seed=1)
    write_peft(model, model / "loras" / "subject.safetensors", parts=BOTH, chosen=attention, seed=2, alpha=6.0)
    source = load_source(model)
    options = PublishOptions(runtime=Runtime.TORCH, threads=1)
    published = prepare_model(source, root / "runtime", root / "repository", options)
    settings = TritonSettings(model_repository=root / "repository", models=published.names, exit_timeout_s=3)
    runtime = prepare(locate(), root / "cache")
    async with TritonSupervisor(runtime, settings, root / "triton.log", PATIENT) as triton:
        backend = TritonBackend(triton.endpoints.grpc, [source.manifest], BackendSettings())
        with serve(root, backend=backend, sources={"sd15": source}) as running:  # type: ignore[arg-type]
            url = f"{running.url}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0, timeout=120) as opened:
                yield opened


async def draw(client: openai.AsyncOpenAI, at: int, *, deterministic: bool) -> np.ndarray:
    """The pixels of one of twenty requests of four sets of adapters."""
    answer = await client.images.generate(
        prompt=f"a woman in a {('red', 'blue', 'green')[at % 3]} dress",
        response_format="b64_json",
        extra_body={
            "seed": at,
            "num_inference_steps": 3 + at % 3,
            "lora": SETS[at % len(SETS)],
            "deterministic": deterministic,
        },
    )
    assert answer.data is not None and answer.data[0].b64_json is not None
    return np.array(Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json))).convert("RGB"))


@pytest.mark.parametrize("deterministic", [True, False])
async def test_twenty_at_once_are_each_what_they_are_alone(client: openai.AsyncOpenAI, deterministic: bool) -> None:
    alone = [await draw(client, at, deterministic=deterministic) for at in range(20)]
    together = await asyncio.gather(*(draw(client, at, deterministic=deterministic) for at in range(20)))
    worst = max(int(np.abs(one.astype(int) - other).max()) for one, other in zip(alone, together, strict=True))
    assert worst <= (0 if deterministic else 2)
    again = [await draw(client, at, deterministic=deterministic) for at in (1, 2, 0, 1)]
    for at, picture in zip((1, 2, 0, 1), again, strict=True):
        assert np.array_equal(picture, alone[at])


async def test_adapters_change_pictures(client: openai.AsyncOpenAI) -> None:
    """Of one seed and prompt, or the comparisons above would prove nothing."""

    async def picture(lora: list[dict[str, object]]) -> np.ndarray:
        answer = await client.images.generate(
            prompt="a dress",
            response_format="b64_json",
            extra_body={"seed": 1, "num_inference_steps": 3, "lora": lora},
        )
        assert answer.data is not None and answer.data[0].b64_json is not None
        return np.array(Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json))).convert("RGB"))

    pictures = [await picture(lora) for lora in SETS]
    for at, one in enumerate(pictures):
        assert all(np.abs(one.astype(int) - other).max() > 8 for other in pictures[at + 1 :])
