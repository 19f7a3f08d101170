"""Taking apart on the real engine in this process, over a small random Qwen-Image-Layered."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from families.catalog import load_source
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.edits import PictureFile
from gateway.domain.layering import LayersCommand, LayersResult, LayersWish
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import PictureFormat
from gateway.pipelines.admission import Admission
from gateway.pipelines.generate import GeneratePipeline
from gateway.pipelines.imaging import PictureEncoder
from gateway.pipelines.incoming import PictureReader, read_sheet
from gateway.pipelines.layers.choice import layered_model
from gateway.pipelines.layers.draw import LayersDraw, Separation
from gateway.pipelines.layers.pipeline import LayersPipeline
from gateway.pipelines.models import ModelLibrary
from tests.gateway.layers.separator import cut_out, picture, sheet
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered
from tests.support.whole import Wanted, Whole, open_whole

WISH = LayersWish(
    model="tiny-layered",
    prompt="a red dress",
    negative_prompt=" ",
    layers=3,
    resolution=64,
    seed=7,
    steps=3,
    guidance_scale=4.0,
    scheduler="flow_match_euler",
    output=LayersFormat.LIST,
    format=PictureFormat.PNG,
    deterministic=True,
)


class Apart:
    """The pipeline over an opened model."""

    def __init__(self, whole: Whole, models: ModelLibrary) -> None:
        telemetry = PrometheusTelemetry()
        self.whole = whole
        self.model, self.rule = layered_model(models, None)
        self.drawer = LayersDraw(whole.backend, whole.embeddings, telemetry)
        self._reader, self._encoder = PictureReader(10**6), PictureEncoder()
        admission = Admission(4, 64, telemetry)
        shared = {"models": models, "reader": self._reader, "admission": admission, "telemetry": telemetry}
        generator = GeneratePipeline(
            backend=whole.backend,
            embeddings=whole.embeddings,
            encoder=self._encoder,
            timeout_seconds=60,
            **shared,  # type: ignore[arg-type]
        )
        self.pipeline = LayersPipeline(
            drawer=self.drawer,
            generator=generator,
            timeout_seconds=60,
            **shared,  # type: ignore[arg-type]
        )

    def close(self) -> None:
        self._reader.close()
        self._encoder.close()

    async def run(self, data: bytes, wish: LayersWish) -> LayersResult:
        return await self.pipeline.run(LayersCommand(PictureFile("image", io.BytesIO(data)), wish), None)


@pytest.fixture(scope="module")
async def apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apart]:
    root = tmp_path_factory.mktemp("apart")
    source = load_source(write_tiny_qwen_image_layered(root / WISH.model))
    async with open_whole(source, root / "repository") as whole:
        with closing(Apart(whole, ModelLibrary({WISH.model: source}, None))) as made:
            yield made


@pytest.mark.parametrize(("count", "guidance"), [(2, 4.0), (3, 1.0)])
async def test_the_model_is_asked_as_its_reference_asks_it(apart: Apart, count: int, guidance: float) -> None:
    """What `tests/engine/test_parity_qwen_image_layered.py` compares with diffusers, to the byte."""
    source = read_sheet(PictureFile("image", io.BytesIO(cut_out(64, 64))), 10**6)
    wish = replace(WISH, guidance_scale=guidance, deterministic=False)
    encode = apart.model.tokenizer.encode
    prompts = (encode(" "), encode(wish.prompt)) if guidance > 1 else (encode(wish.prompt),)
    drawn = await apart.drawer.draw(Separation(apart.model, apart.rule, wish, prompts, source, count, None))
    wanted = Wanted(
        wish.prompt, 64, 64, seeds=(7,), guidance=guidance, negative=" ", references=(source,), layers=count
    )
    assert np.array_equal(drawn, await apart.whole.draw(wanted))
    assert drawn.std() > 1


@pytest.mark.parametrize("data", [picture(100, 70), cut_out(90, 50)], ids=["opaque", "cut-out"])
async def test_layers_are_the_pictures_size_and_give_it_back(apart: Apart, data: bytes) -> None:
    source = read_sheet(PictureFile("image", io.BytesIO(data)), 10**6)
    result = await apart.run(data, WISH)
    assert len(result.layers) == 3
    for layer in result.layers:
        assert layer.data is not None and sheet(layer.data).shape == source.shape
        assert (sheet(layer.data)[..., 3] <= source[..., 3]).all()
    assert result.psnr is None or result.psnr > 30


async def test_a_crowd_changes_nothing(apart: Apart) -> None:
    """Of other counts, sizes and models of guidance in the same batches."""
    data, other = picture(100, 70), cut_out(64, 128)
    alone = await apart.run(data, WISH)
    crowd = [
        apart.run(other, replace(WISH, layers=count, guidance_scale=guidance, seed=count, deterministic=False))
        for count, guidance in ((2, 4.0), (3, 4.0), (3, 1.0), (4, 2.0))
    ]
    among, *_ = await asyncio.gather(apart.run(data, WISH), *crowd)
    assert among == alone
    assert await apart.run(data, replace(WISH, seed=8)) != alone


async def test_layers_of_layers_stay_inside(apart: Apart) -> None:
    plain = await apart.run(picture(), WISH)
    finer = await apart.run(picture(), replace(WISH, decompose=(0,)))
    parts = [layer for layer in finer.layers if layer.parent]
    assert parts and {part.parent for part in parts} == {plain.layers[0].name}
    assert [layer.name for layer in finer.layers[-2:]] == [layer.name for layer in plain.layers[-2:]]
