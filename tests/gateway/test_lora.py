"""LoRA by request through the official client: tags, the field, what reaches the backend, and every mistake."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import openai
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from families.catalog import load_source
from gateway.domain.backend import Lora
from tests.gateway.server import RunningGateway, serve
from tests.support.tiny_lora import attention, write_kohya
from tests.support.tiny_sd15 import write_tiny_sd15


@pytest.fixture(scope="module")
def lora_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    root = tmp_path_factory.mktemp("lora")
    model = write_tiny_sd15(root / "sd15")
    loras = model / "loras"
    write_kohya(model, loras / "stripes.safetensors", parts=("unet",), chosen=attention, seed=1, rank=8)
    write_kohya(model, loras / "words.safetensors", parts=("unet", "text_encoder"), chosen=attention, seed=2)
    strange = "transformer.double_blocks.0.img_attn.qkv.lora_A.weight"
    save_file({strange: torch.ones(4, 8)}, root / "shared.safetensors")
    (root / "shared").mkdir()
    (root / "shared.safetensors").rename(root / "shared" / "flux.safetensors")
    source = replace(load_source(model), shared_loras=(root / "shared",))
    with serve(root, sources={"sd15": source}) as running:
        yield running


@pytest.fixture
def client(lora_gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    lora_gateway.backend.jobs.clear()
    lora_gateway.backend.text_loras.clear()
    with openai.OpenAI(base_url=f"{lora_gateway.url}/v1", api_key="unused", max_retries=0, timeout=20) as opened:
        yield opened


def generate(client: openai.OpenAI, prompt: str, **extra: object) -> None:
    client.images.generate(prompt=prompt, response_format="b64_json", extra_body={"num_inference_steps": 1, **extra})


@pytest.mark.parametrize(
    ("prompt", "lora", "expected"),
    [
        ("a dress", {"name": "stripes", "scale": 0.5}, [Lora("stripes", 0.5)]),
        (
            "a dress",
            [{"name": "lora/stripes"}, {"name": "words", "scale": -2}],
            [Lora("stripes", 1), Lora("words", -2)],
        ),
        ("a <lora:stripes:0.7> dress<lora:words>", None, [Lora("stripes", 0.7), Lora("words", 1)]),
        ("a dress <LORA:words:.5>", {"name": "stripes"}, [Lora("words", 0.5), Lora("stripes", 1)]),
        ("a dress", None, []),
    ],
)
def test_what_reaches_the_backend(
    prompt: str, lora: object, expected: list[Lora], client: openai.OpenAI, lora_gateway: RunningGateway
) -> None:
    generate(client, "a dress")
    generate(client, prompt, lora=lora)
    plain, job = lora_gateway.backend.jobs
    assert list(job.loras) == expected
    changing = tuple(one for one in expected if one.name == "words")
    # The same words without their tags; only an adapter of the text encoder has them encoded anew.
    assert [used for used in lora_gateway.backend.text_loras if used] == ([changing] if changing else [])
    assert [tensor.array.shape for tensor in plain.conditions] == [tensor.array.shape for tensor in job.conditions]


@pytest.mark.parametrize(
    ("prompt", "lora", "message"),
    [
        ("a dress", {"name": "dots"}, "unknown LoRA 'dots'; sd15 has stripes, words"),
        ("a <lora:dots:1> dress", None, "unknown LoRA 'dots'"),
        ("a dress", {"name": "flux"}, "'transformer.double_blocks.0.img_attn.qkv.lora_A.weight' adapts a layer"),
        ("a <lora:stripes:strong> dress", None, "tag <lora:stripes:strong>; allowed: <lora:name>"),
        ("a <lora::1> dress", None, "tag <lora::1>"),
        ("a <lora:stripes:9> dress", None, "is 9; allowed: -5 to 5"),
        ("a <lora:stripes:nan> dress", None, "is nan; allowed: -5 to 5"),
        ("a <lora:stripes:1> dress", {"name": "stripes"}, "'stripes' is asked for twice"),
        ("a dress", [{"name": f"{at}"} for at in range(9)], "9 LoRA are asked for; allowed: at most 8"),
        ("a dress", {"name": "stripes", "scale": 9}, "'lora' has a field 'scale' that is too large; allowed: -5"),
        ("a dress", {"scale": 1}, "'lora' "),
        ("a dress", "stripes", "must be JSON"),
    ],
)
def test_mistakes_are_named(
    prompt: str, lora: object, message: str, client: openai.OpenAI, lora_gateway: RunningGateway
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        generate(client, prompt, lora=lora)
    assert message in refused.value.message
    assert not lora_gateway.backend.jobs


def test_models_list_their_adapters(lora_gateway: RunningGateway) -> None:
    (model,) = httpx.get(f"{lora_gateway.url}/v1/models", timeout=20).json()["data"]
    stripes, words = model["loras"]
    assert (stripes["id"], stripes["name"], stripes["rank"], words["rank"]) == ("lora/stripes", "stripes", 8, 4)
    assert stripes["bytes"] == (lora_gateway.folder / "sd15" / "loras" / "stripes.safetensors").stat().st_size


def test_edits_take_json_and_pictures_keep_the_tags(client: openai.OpenAI, lora_gateway: RunningGateway) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(picture, "PNG")
    client.images.edit(
        image=("red.png", picture.getvalue()),
        prompt="a dress <lora:words:0.5>",
        response_format="b64_json",
        extra_body={"lora": '{"name": "stripes"}'},
    )
    assert lora_gateway.backend.jobs[-1].loras == (Lora("words", 0.5), Lora("stripes", 1.0))


def test_adapters_of_a_missing_folder_are_none(tmp_path: Path) -> None:
    source = replace(load_source(write_tiny_sd15(tmp_path / "bare")), shared_loras=(tmp_path / "nowhere",))
    with serve(tmp_path, sources={"bare": source}) as running:
        (model,) = httpx.get(f"{running.url}/v1/models", timeout=20).json()["data"]
    assert model["loras"] == []
