"""Every family on one Triton at once: each picture is the one that its request draws alone."""

import asyncio
import base64
import io
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import openai
import pytest
from PIL import Image

from tests.support.families import FAMILIES, Family, write_families
from tests.support.metrics import sample, triton_metrics, wait_until_idle
from tests.support.stack import RunningStack, start_stack

REQUESTS, AT_ONCE = 100, 16
TOLERANCE = 1
"""Of 255: a row among others is computed in a larger matrix, whose sums are in another order."""
_READY_SECONDS = 500
"""Twenty processes load torch and diffusers: six seconds of a core each."""
PROMPTS = (
    "a red dress",
    "a person in blue jeans, striped",
    "a woman with long brown hair in a green meadow",
    "a person in a red striped dress on a blue background, " * 30,
)


@dataclass(frozen=True)
class Ask:
    """One request. `pictures` come with it as an edit, `masked` with a hole in the first."""

    model: str
    prompt: str
    size: str
    steps: int
    guidance: float
    scheduler: str | None
    seed: int
    n: int
    deterministic: bool
    pictures: int = 0
    masked: bool = False


def crowd(generator: random.Random, count: int) -> list[Ask]:
    """As many of each family, in a random order."""
    asks = [_ask(generator, FAMILIES[index % len(FAMILIES)]) for index in range(count)]
    generator.shuffle(asks)
    return asks


def _ask(generator: random.Random, family: Family) -> Ask:
    pictures = generator.choice((0, 0, 1, max(1, family.references)))
    return Ask(
        model=family.name,
        prompt=generator.choice(PROMPTS),
        size=generator.choice(family.sizes),
        steps=generator.randint(2, 5),
        guidance=generator.choice(family.guidances),
        scheduler=generator.choice(family.schedulers),
        seed=generator.randrange(1000),
        n=generator.choice((1, 1, 2)),
        deterministic=generator.random() < 0.4,
        pictures=pictures,
        masked=pictures == 1 and not family.references and generator.random() < 0.5,
    )


async def draw(client: openai.AsyncOpenAI, ask: Ask) -> np.ndarray:
    """The request's pictures, int16 [n, H, W, 3]."""
    fields: dict[str, object] = {
        "num_inference_steps": ask.steps,
        "guidance_scale": ask.guidance,
        "seed": ask.seed,
        "negative_prompt": "blue" if ask.guidance > 1 else None,
        "scheduler": ask.scheduler,
        "deterministic": ask.deterministic,
    }
    common = {"prompt": ask.prompt, "model": ask.model, "size": ask.size, "n": ask.n, "response_format": "b64_json"}
    given = {name: value for name, value in fields.items() if value is not None}
    if ask.pictures:
        files = [file_of(source(ask, number)) for number in range(ask.pictures)]
        mask = file_of(hole(ask)) if ask.masked else openai.omit
        answer = await client.images.edit(image=files, mask=mask, extra_body=given, **common)  # type: ignore[call-overload]
    else:
        answer = await client.images.generate(extra_body=given, **common)  # type: ignore[call-overload]
    files = [io.BytesIO(base64.b64decode(item.b64_json)) for item in answer.data]
    return np.stack([np.asarray(Image.open(file).convert("RGB"), dtype=np.int16) for file in files])


def size_of(ask: Ask) -> tuple[int, int]:
    width, height = map(int, ask.size.split("x"))
    return width, height


def source(ask: Ask, number: int) -> Image.Image:
    """Soft colours, at the request's size."""
    small = np.random.default_rng(ask.seed + number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size_of(ask), Image.Resampling.BICUBIC)


def hole(ask: Ask) -> Image.Image:
    """Transparent, so to be drawn anew, in the middle."""
    width, height = size_of(ask)
    pixels = np.full((height, width, 4), 255, dtype=np.uint8)
    pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4, 3] = 0
    return Image.fromarray(pixels, "RGBA")


def file_of(picture: Image.Image) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "picture.png", buffer.getvalue()


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """All of them on one Triton. No prompt is remembered: every request goes the whole way."""
    folder = tmp_path_factory.mktemp("families")
    environment = {
        "TRIPTYCH_MODELS__DIRECTORIES": json.dumps([str(write_families(folder / "models"))]),
        "TRIPTYCH_BACKEND__RUNTIME": "torch",
        "TRIPTYCH_BACKEND__THREADS": "1",
        "TRIPTYCH_GENERATION__EMBEDDING_CACHE_BYTES": "0",
    }
    with start_stack(
        folder / "runtime", environment=environment, embedded=False, ready_seconds=_READY_SECONDS
    ) as running:
        yield running


class Open:
    """Which families have a request open. Counted here: Triton's gauges are told four times a second, and a request is
    over in less."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self.most_families = 0

    @contextmanager
    def request(self, model: str) -> Iterator[None]:
        self._counts[model] += 1
        self.most_families = max(self.most_families, sum(count > 0 for count in self._counts.values()))
        try:
            yield
        finally:
            self._counts[model] -= 1


async def ticks(stack: RunningStack) -> dict[str, float]:
    """Denoiser calls of each family so far."""
    text = await triton_metrics(stack)
    return {
        family.name: sample(text, "triptych_engine_ticks_total", re.compile(rf'model="{family.name}\.'))
        for family in FAMILIES
    }


@pytest.mark.timeout(900)
async def test_a_hundred_mixed_requests_of_every_family(families: RunningStack) -> None:
    asks = crowd(random.Random(4), REQUESTS)
    assert any(ask.masked for ask in asks) and any(ask.pictures == 2 for ask in asks)
    permits, opened = asyncio.Semaphore(AT_ONCE), Open()
    async with openai.AsyncOpenAI(
        base_url=f"{families.url}/v1", api_key="unused", max_retries=0, timeout=300
    ) as client:

        async def among_others(ask: Ask) -> np.ndarray:
            async with permits:
                with opened.request(ask.model):
                    return await draw(client, ask)

        alone = [await draw(client, ask) for ask in asks]
        await wait_until_idle(families)
        before = await ticks(families)
        together = await asyncio.gather(*map(among_others, asks))
        await wait_until_idle(families)
        after = await ticks(families)

    for ask, one, other in zip(asks, alone, together, strict=True):
        assert one.shape == other.shape == (ask.n, *size_of(ask)[::-1], 3), ask
        assert one.std() > 1, ask
        assert np.abs(one - other).max() <= (0 if ask.deterministic else TOLERANCE), ask
    assert all(after[name] > before[name] for name in after), "a family's engine was not asked"
    assert opened.most_families == len(FAMILIES), "the families were not in flight together"
