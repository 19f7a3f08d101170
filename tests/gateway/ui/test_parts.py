"""The page's small parts: forms, events, and HTML that visitors' and servers' words cannot break out of."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.ui.answers import Candidate, JobTold, LayersAnswer, PicturesAnswer
from gateway.ui.api import ApiError, FormFile
from gateway.ui.layer_stack import LayerStack, StackedLayer, stack_html
from gateway.ui.layers_result import facts_html
from gateway.ui.layers_tab import in_order
from gateway.ui.number_input import number
from gateway.ui.orders import GenerationOrder, TryOnOrder
from gateway.ui.panel import newest
from gateway.ui.progress import Phase, Progress, error_html, progress_html, warnings_html
from gateway.ui.scores import scores_html
from gateway.ui.sse import ServerEvent, server_events
from gateway.ui.stages import TRY_ON, caption
from tests.gateway.ui.scripted_api import ScriptedApi

EVIL = "<script>alert('x')</script>"


async def lines(*all_lines: str) -> AsyncIterator[str]:
    for line in all_lines:
        yield line


async def test_events_are_read() -> None:
    stream = lines(": hello", "", "id: 3", "event: job.stage", 'data: {"a":', "data: 1}", "", "data:x", "", "data: cut")
    events = [event async for event in server_events(stream)]
    assert events == [ServerEvent("job.stage", '{"a":\n1}'), ServerEvent("message", "x")]


def test_an_order_says_only_what_was_chosen() -> None:
    order = TryOnOrder(category="tops", preserve=("arms", "legs"), num_samples=2, seed=5)
    assert order.form() == {
        "async": "true",
        "category": "tops",
        "preserve": ["arms", "legs"],
        "num_samples": "2",
        "seed": "5",
        "deterministic": "false",
        "return_intermediates": "true",
        "partial_images": "3",
    }
    assert GenerationOrder(prompt="a man").body() == (
        '{"async":true,"prompt":"a man","n":1,"deterministic":false,"partial_images":3}'
    )


async def test_pictures_go_as_they_are_and_without_their_names(tmp_path: Path) -> None:
    private = tmp_path / "my holiday.jpg"
    private.write_bytes(b"bytes")
    script = ScriptedApi([])
    await script.api().order("/v1/tryon-fast", TryOnOrder(preserve=("arms",)), [FormFile("model_image", private)])
    body = script.orders[0].content
    assert b'name="model_image"; filename="model_image"' in body and b"\r\n\r\nbytes\r\n" in body
    assert b"holiday" not in body
    assert b'name="async"\r\n\r\ntrue\r\n' in body and b'name="preserve"\r\n\r\narms\r\n' in body


def test_numbers_may_be_left_out_and_what_is_none_is_the_api_s_to_judge() -> None:
    assert [number(text) for text in ("", " ", "7", " 2.5 ", "many")] == [None, None, 7, 2.5, "many"]
    assert number(None) is None, "of a field that nobody has unfolded"


def test_progress_names_the_stage_and_what_is_done() -> None:
    html = progress_html(Progress(Phase.WORKING, 3.4, 0.42, "mask"), TRY_ON)
    assert 'data-percent="42"' in html and 'aria-valuenow="42"' in html and "42 % · 3 s" in html
    assert '<strong role="status">Choosing what changes</strong>' in html
    assert '<li class="done">Reading the pictures</li>' in html
    assert '<li class="now">Choosing what changes</li>' in html
    assert '<li class="next">Drawing</li>' in html
    assert "place 2" in progress_html(Progress(Phase.QUEUED, place=2), TRY_ON)


def test_a_stage_that_is_not_known_is_shown_by_its_name() -> None:
    html = progress_html(Progress(Phase.WORKING, stage="new_part"), TRY_ON)
    assert "New part" in html and "<ol>" not in html
    assert caption("second_mask") == "What changes, second garment"
    assert caption("candidate_7") == "Candidate 7"


def test_words_stay_words() -> None:
    hostile = [
        progress_html(Progress(Phase.WORKING, stage=EVIL), TRY_ON),
        error_html(EVIL, EVIL),
        warnings_html((EVIL,)),
        scores_html([Candidate(seed=1, score=0.5, scores={EVIL: 0.5})]),
    ]
    for html in hostile:
        assert "<script" not in html.lower() and "&lt;" in html


def test_scores_are_in_percent_and_absent_where_nothing_was_judged() -> None:
    assert scores_html([]) == ""
    html = scores_html(
        [
            Candidate(seed=9, score=0.914, scores={"colour": 0.876}, refined=True),
            Candidate(seed=7, score=0.7, scores={"colour": 0.6}),
        ]
    )
    assert "Refined 9" in html and ">91<" in html and ">88<" in html and "Colours" in html
    assert html.index("Refined 9") < html.index("Candidate 7")


def test_a_stack_takes_only_what_a_page_may_tell() -> None:
    stack = LayerStack(tuple(StackedLayer(key, EVIL, Path(key), "data:,") for key in ("ground", "hat")))
    hat, ground = {"key": "hat", "opacity": 30, "visible": False, "blend": "screen"}, {"key": "ground"}
    lower = stack.changed([ground, hat])
    assert [layer.key for layer in lower.layers] == ["hat", "ground"]
    assert (lower.layers[0].opacity, lower.layers[0].visible, lower.layers[0].blend) == (30, False, "screen")
    odd = stack.changed([{**hat, "opacity": 101, "visible": "no", "blend": EVIL}, {**ground, "opacity": "5"}])
    assert odd == stack
    for told in (None, "x", [], [hat], [hat, hat], [hat, ground, {"key": "other"}, 5], [hat, {"key": ["ground"]}]):
        assert sorted(layer.key for layer in stack.changed(told).layers) == ["ground", "hat"]
    html = stack_html(stack)
    assert "<script" not in html and html.index('data-layer="hat"') < html.index('data-layer="ground"')


def test_parts_of_a_layer_look_as_it_did() -> None:
    layers = [StackedLayer(key, key, Path(key), "") for key in ("ground", "hat")]
    stack = LayerStack((layers[0], replace(layers[1], opacity=20, visible=False)))
    split = stack.replaced("hat", [StackedLayer("a", "a", Path("a"), ""), StackedLayer("b", "b", Path("b"), "")])
    assert [(layer.key, layer.opacity, layer.visible) for layer in split.layers] == [
        ("ground", 100, True),
        ("a", 20, False),
        ("b", 20, False),
    ]


async def test_layers_are_composed_as_they_lie(tmp_path: Path) -> None:
    layers = []
    for name in ("ground", "hat"):
        (tmp_path / name).write_bytes(name.encode())
        layers.append(StackedLayer(name, name, tmp_path / name, "", opacity=50, blend="multiply"))
    fields, files = LayerStack(tuple(layers)).form()
    described = {"opacity": 0.5, "visible": True, "blend_mode": "multiply"}
    assert json.loads(fields["layers"]) == [
        {"image": "layer-0", "name": "ground", **described},
        {"image": "layer-1", "name": "hat", **described},
    ]
    assert [file.path.name for file in files] == ["ground", "hat"]
    script = ScriptedApi([], refusal={"message": "no"})
    with pytest.raises(ApiError, match="no"):
        await script.api().compose(fields, files)
    assert b'name="layer-1"; filename="layer-1"' in script.orders[0].content


def test_a_preview_of_several_shows_all_in_order_and_of_one_the_newest() -> None:
    estimates = {2: "c", 0: "a"}
    assert newest(estimates) == "a"
    assert in_order(estimates) == [("a", "layer 1"), ("c", "layer 3")]


def test_answers_of_both_kinds_of_jobs_are_told_apart() -> None:
    link = {"url": "http://x/a.png"}
    told = JobTold.model_validate(
        {
            "result": {
                "data": [{**link, "name": "hat"}],
                "composite": link,
                "size": "1x1",
                "drawn_size": "1x1",
                "seed": 3,
            }
        }
    )
    assert isinstance(told.result, LayersAnswer) and 'data-psnr="exact"' in facts_html(told.result)
    other = JobTold.model_validate({"result": {"data": [{**link, "seed": 3}]}})
    assert isinstance(other.result, PicturesAnswer)
