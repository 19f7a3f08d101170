"""A model that is replaced while a picture is drawn: the picture is one release's throughout."""

import openai
import pytest

from tests.gateway.server import RunningGateway

ASK = {"seed": 3, "num_inference_steps": 8}


def drawn(client: openai.OpenAI, seed: int = 3) -> str | None:
    answer = client.images.generate(prompt="a red dress", response_format="b64_json", extra_body={**ASK, "seed": seed})
    assert answer.data
    return answer.data[0].b64_json


def test_a_picture_that_lost_its_release_is_begun_again(client: openai.OpenAI, gateway: RunningGateway) -> None:
    by_the_first = drawn(client)
    gateway.backend.fail_after_steps, gateway.backend.replace_during_denoise = 5, True
    replaced = drawn(client)
    assert gateway.backend.version == "2"
    assert replaced == drawn(client), "part of it was the old release's"
    assert replaced != by_the_first
    assert [job.release.version for job in gateway.backend.jobs] == ["1", "1", "2", "2"]


def test_previews_are_not_sent_twice(client: openai.OpenAI, gateway: RunningGateway) -> None:
    gateway.backend.fail_after_steps, gateway.backend.replace_during_denoise = 6, True
    stream = client.images.generate(prompt="a red dress", stream=True, partial_images=3, extra_body=ASK)
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:3]] == [0, 1, 2]  # type: ignore[union-attr]


def test_a_release_that_is_gone_for_good_is_an_error(client: openai.OpenAI, gateway: RunningGateway) -> None:
    gateway.backend.release_always_gone = True
    with pytest.raises(openai.InternalServerError) as caught:
        drawn(client)
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"]
