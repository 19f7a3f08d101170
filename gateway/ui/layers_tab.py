"""A picture becomes layers, which can be changed and put together again."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import gradio as gr

from gateway.ui.answers import JobAnswer, LayersAnswer, LayersRule
from gateway.ui.api import Api, ApiError, FormFile
from gateway.ui.layer_stack import LayerStack
from gateway.ui.layers_result import layers_result
from gateway.ui.number_input import number, number_input
from gateway.ui.orders import LayersOrder
from gateway.ui.panel import EXACT, Changes, Panel, panel_status
from gateway.ui.picture_input import picture_examples, picture_input
from gateway.ui.progress import hint_html
from gateway.ui.shown import ShownPictures
from gateway.ui.stages import LAYERS
from gateway.ui.visitor import api_of

_ROUTE = "/v1/images/layers"
_EXAMPLES = Path(__file__).with_name("examples")
_HINT = "Choose a picture, or describe one that is drawn first, then press Take it apart."
_NONE = "This server has no model that takes pictures apart."
_AUTO = "auto"


def layers_tab(pictures: ShownPictures, page: gr.Blocks) -> None:
    """Lay the tab out and connect it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            picture = picture_input("Picture", "layers-picture", "Drop a picture")
            picture_examples(sorted(_EXAMPLES.glob("person-*.png")), picture, "Examples")
            prompt = gr.Textbox(
                label="What the whole picture shows", lines=2, placeholder="may be left out", elem_id="layers-prompt"
            )
            with gr.Row():
                count = gr.Dropdown([_AUTO], value=_AUTO, label="Layers", min_width=110, elem_id="layers-count")
                resolution = gr.Dropdown(
                    [], label="Drawn at", visible=False, min_width=110, elem_id="layers-resolution"
                )
            with gr.Accordion("More settings", open=False, elem_id="layers-more"):
                with gr.Row():
                    steps = number_input("Steps", "the model's", "layers-steps")
                    seed = number_input("Seed", "random", "layers-seed")
                exact = gr.Checkbox(label=EXACT, elem_id="layers-exact")
            start = gr.Button("Take it apart", variant="primary", size="lg", elem_id="layers-start")
            stop = gr.Button("Cancel", variant="stop", size="lg", visible=False, elem_id="layers-stop")
        with gr.Column(scale=7, min_width=320):
            status = panel_status(_HINT, "layers-status")
            preview = gr.Gallery(
                label="Forming",
                visible=False,
                interactive=False,
                allow_preview=False,
                object_fit="contain",
                buttons=[],
                elem_id="layers-preview",
                elem_classes=["strip", "see-through"],
            )
            result = layers_result(pictures)
    panel = Panel(start, stop, status, preview, LAYERS, pictures, arrange=in_order)

    async def take_apart(  # noqa: PLR0917 - Gradio passes them by place
        file: Path | None,
        prompt_text: str,
        layers: str,
        size: int | None,
        step_count: str,
        seed_text: str,
        exactly: bool,
        request: gr.Request,
    ) -> AsyncGenerator[Changes, None]:
        order = LayersOrder(
            prompt=prompt_text or None,
            generate={} if file is None and prompt_text.strip() else None,
            layers=layers,
            resolution=size,
            seed=number(seed_text),
            num_inference_steps=number(step_count),
            deterministic=exactly,
        )
        files = [] if file is None else [FormFile("image", file)]

        async def show(api: Api, answer: JobAnswer) -> Changes:
            assert isinstance(answer, LayersAnswer)
            return await result.show(api, answer)

        async with aclosing(panel.play(request, lambda api: api.order(_ROUTE, order, files), show)) as playing:
            async for changes in playing:
                yield changes

    start.click(
        take_apart,
        [picture, prompt, count, resolution, steps, seed, exact],
        [*panel.components, *result.components],
        show_progress="hidden",
        api_visibility="private",
    )

    async def take_layer_apart(  # noqa: PLR0917 - Gradio passes them by place
        stack: LayerStack, step_count: str, seed_text: str, exactly: bool, event: gr.EventData, request: gr.Request
    ) -> AsyncGenerator[Changes, None]:
        edited = stack.changed(event._data.get("layers"))
        layer = edited.find(event._data.get("key"))
        if layer is None:
            return
        order = LayersOrder(
            seed=number(seed_text), num_inference_steps=number(step_count), deterministic=exactly, layers=_AUTO
        )
        files = [FormFile("image", layer.path)]

        async def show(api: Api, answer: JobAnswer) -> Changes:
            assert isinstance(answer, LayersAnswer)
            return await result.show_apart(api, answer, edited, layer.key)

        async with aclosing(panel.play(request, lambda api: api.order(_ROUTE, order, files), show)) as playing:
            async for changes in playing:
                yield changes

    result.rows.submit(
        take_layer_apart,
        [result.stack, steps, seed, exact],
        [*panel.components, *result.components],
        show_progress="hidden",
        api_visibility="private",
    )
    panel.connect_stop()

    async def offer(request: gr.Request) -> Changes:
        """What the first model that takes pictures apart can be asked for."""
        try:
            async with api_of(request) as api:
                rules = [model.layers for model in await api.models() if model.layers is not None]
        except ApiError:
            return {}
        return _offered(rules[0]) if rules else {start: gr.update(interactive=False), status: hint_html(_NONE)}

    def _offered(rule: LayersRule) -> Changes:
        counts = [_AUTO, *map(str, range(rule.minimum, rule.maximum + 1))]
        return {
            count: gr.update(choices=counts),
            resolution: gr.update(
                choices=[(f"{side} x {side}", side) for side in rule.resolutions],
                value=rule.resolutions[0],
                visible=len(rule.resolutions) > 1,
            ),
        }

    page.load(offer, None, [count, resolution, start, status], show_progress="hidden", api_visibility="private")


def in_order(estimates: Mapping[int, str]) -> Any:
    """What a gallery shows of estimates: all, bottom to top."""
    return [(path, f"layer {index + 1}") for index, path in sorted(estimates.items())]
