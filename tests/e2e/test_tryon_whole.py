"""Try-on on the whole stack: the same bytes in a crowd, and real photographs from end to end."""

import asyncio
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from skimage import data

from gateway.domain.tryon_drawing import MaskPixels, Rgb
from tests.e2e.fitting import EXACT, file_of, intermediate
from tests.e2e.test_in_flight import Ask, draw
from tests.gateway.api.studio import png, uri
from tests.gateway.pictures import pixels_of
from tests.gateway.test_mistakes import error_of
from tests.support.metrics import gateway_metrics, sample
from tests.support.stack import RunningStack
from wardrobe.world.attributes import Colour, Pattern, TopKind
from wardrobe.world.render import flat_lay
from wardrobe.world.scene import Top

TOP = flat_lay(Top(TopKind.T_SHIRT, Colour.BLUE, Pattern.STRIPED))


async def dress(client: openai.AsyncOpenAI, mode: str = "fast", **changes: object) -> bytes:
    body = {**EXACT, "response_format": "b64_json", **changes}
    answer: Any = await client.post(f"/tryon-{mode}", body=body, cast_to=object)
    return file_of(answer)


async def test_deterministic_bytes_alone_and_in_a_crowd(stack: RunningStack, async_client: openai.AsyncOpenAI) -> None:
    alone = await dress(async_client)
    most = 0.0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, sample(await gateway_metrics(stack), "triptych_generations_active"))
            await asyncio.sleep(0.02)

    watcher = asyncio.ensure_future(watch())
    try:
        among, again, other, *_ = await asyncio.gather(
            dress(async_client),
            dress(async_client),
            dress(async_client, seed=6),
            dress(async_client, deterministic=False, num_samples=3),
            dress(async_client, "premium", deterministic=False, candidates=2, refine=False),
            draw(async_client, Ask("a woman wearing a yellow dotted dress", 20, "euler", 77, deterministic=True)),
            *(draw(async_client, Ask("a man wearing a red plain sweater", 12, "ddim", seed)) for seed in range(3)),
        )
    finally:
        watcher.cancel()
    assert most > 4, "few others were under way: there was no crowd"
    assert among == alone and again == alone
    assert other != alone


def lower_half(photograph: Rgb) -> Rgb:
    """A mask of it: white where the garment goes."""
    height, width = photograph.shape[:2]
    mask = np.zeros_like(photograph)
    mask[height // 2 :, width // 8 : -width // 8] = 255
    return mask


def order(photograph: Rgb, **fields: object) -> dict[str, object]:
    pictures = {"model_image": uri(png(photograph)), "garment_image": uri(png(TOP)), "category": "tops", "seed": 5}
    return {**pictures, "return_intermediates": True, "response_format": "b64_json", **fields}


def dressed(stack: RunningStack, photograph: Rgb, mode: str, **fields: object) -> tuple[dict[str, Any], MaskPixels]:
    """The whole answer and its mask, once all around the mask was found to be the photograph's own."""
    response = httpx.post(f"{stack.url}/v1/tryon-{mode}", json=order(photograph, **fields), timeout=120)
    assert response.status_code == 200, response.text
    answer = response.json()
    after, mask = pixels_of(answer["data"][0]["b64_json"]), intermediate(answer, "mask")[..., 0] > 127
    height, width = photograph.shape[:2]
    assert answer["data"][0]["size"] == f"{width}x{height}" and after.shape == photograph.shape
    assert mask.shape == (height, width) and mask.any() and not mask.all()
    assert np.array_equal(after[~mask], photograph[~mask])
    assert (after[mask] != photograph[mask]).any()
    return answer, mask


@pytest.mark.parametrize("own", [False, True], ids=["masked-by-the-parser", "masked-by-the-caller"])
@pytest.mark.parametrize(("mode", "extra"), [("fast", {}), ("premium", {"candidates": 2})], ids=["fast", "premium"])
def test_a_real_photograph(stack: RunningStack, mode: str, extra: dict[str, object], own: bool) -> None:
    """The embedded model knows nobody like her, and what it draws is no concern here; all around it is."""
    astronaut: Rgb = data.astronaut()
    mine = lower_half(astronaut)
    answer, mask = dressed(stack, astronaut, mode, **extra, **({"mask": uri(png(mine))} if own else {}))
    assert np.array_equal(mask, mine[..., 0] > 0) is own
    named = {each["name"] for each in answer["intermediates"]}
    assert {"parse", "pose", "garment", "crop", "masked_person", "candidate_5"} <= named
    if mode == "premium":
        scores = [each["score"] for each in answer["candidates"]]
        assert len(scores) >= 2 and all(0 <= score <= 1 for score in scores)
        assert answer["data"][0]["score"] == max(scores)


def test_a_photograph_of_nobody_needs_a_mask(stack: RunningStack) -> None:
    """A cat's."""
    chelsea: Rgb = data.chelsea()
    refused = httpx.post(f"{stack.url}/v1/tryon-fast", json=order(chelsea), timeout=120)
    assert (refused.status_code, error_of(refused)["code"]) == (400, "PoseError")
    mine = lower_half(chelsea)
    _, mask = dressed(stack, chelsea, "fast", mask=uri(png(mine)))
    assert np.array_equal(mask, mine[..., 0] > 0)
