"""From a prompt to pictures."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import gradio as gr

from gateway.ui.answers import JobAnswer, PicturesAnswer
from gateway.ui.api import Api
from gateway.ui.number_input import number, number_input
from gateway.ui.orders import GenerationOrder
from gateway.ui.panel import EXACT, Changes, Panel, panel_preview, panel_status
from gateway.ui.shown import ShownPictures
from gateway.ui.stages import GENERATION

_ROUTE = "/v1/images/generations"
_HINT = "Say what the picture should show, then press Generate."
_PROMPTS = (
    "a woman with long brown hair wearing a red striped dress, in a meadow",
    "a man with short black hair, waving, wearing a blue striped sweater and brown plain trousers, on a beach",
    "a woman with curly ginger hair wearing a green checked dress, in a city",
)


def generate_tab(pictures: ShownPictures) -> None:
    """Lay the tab out and connect it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            prompt = gr.Textbox(label="Prompt", lines=3, placeholder=_PROMPTS[0], elem_id="prompt")
            gr.Examples([[text] for text in _PROMPTS], [prompt], label="Examples")
            n = gr.Slider(1, 10, 1, step=1, label="Pictures", buttons=[], elem_id="n")
            with gr.Row():
                steps = number_input("Steps", "the model's", "steps")
                seed = number_input("Seed", "random", "seed")
            with gr.Accordion("More settings", open=False):
                size = gr.Textbox(label="Size", placeholder="the model's own, or WIDTHxHEIGHT", elem_id="size")
                negative = gr.Textbox(label="What it should not show", placeholder="nothing")
                exact = gr.Checkbox(label=EXACT, elem_id="exact")
            start = gr.Button("Generate", variant="primary", size="lg", elem_id="generate-start")
            stop = gr.Button("Cancel", variant="stop", size="lg", visible=False, elem_id="generate-stop")
        with gr.Column(scale=6, min_width=320):
            status = panel_status(_HINT, "generate-status")
            preview = panel_preview("generate-preview")
            results = gr.Gallery(
                label="Pictures",
                visible=False,
                columns=2,
                object_fit="contain",
                buttons=["download", "fullscreen"],
                interactive=False,
                elem_id="generate-results",
            )
    panel = Panel(start, stop, status, preview, GENERATION, pictures)

    async def show(api: Api, answer: JobAnswer) -> Changes:
        assert isinstance(answer, PicturesAnswer)
        shown = [
            (await pictures.keep(api, picture.url, f"picture-{picture.seed}"), f"seed {picture.seed}")
            for picture in answer.data
        ]
        return {results: gr.update(value=shown, visible=True, columns=min(len(shown), 3), selected_index=None)}

    async def generate(  # noqa: PLR0917 - Gradio passes them by place
        prompt_text: str,
        count: int,
        step_count: str,
        seed_text: str,
        size_text: str,
        negative_text: str,
        exactly: bool,
        request: gr.Request,
    ) -> AsyncGenerator[Changes, None]:
        order = GenerationOrder(
            prompt=prompt_text,
            n=count,
            num_inference_steps=number(step_count),
            seed=number(seed_text),
            size=size_text or None,
            negative_prompt=negative_text or None,
            deterministic=exactly,
        )
        async with aclosing(panel.play(request, lambda api: api.order(_ROUTE, order), show)) as playing:
            async for changes in playing:
                yield changes

    gr.on(
        [start.click, prompt.submit],
        generate,
        [prompt, n, steps, seed, size, negative, exact],
        [*panel.components, results],
        show_progress="hidden",
        api_visibility="private",
    )
    panel.connect_stop()
