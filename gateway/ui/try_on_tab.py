"""A person and a garment become the person in that garment."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import gradio as gr

from gateway.ui.answers import JobAnswer, PicturesAnswer
from gateway.ui.api import Api, FormFile
from gateway.ui.number_input import number, number_input
from gateway.ui.orders import TryOnOrder
from gateway.ui.panel import EXACT, Changes, Panel, panel_preview, panel_status
from gateway.ui.picture_input import picture_examples, picture_input
from gateway.ui.result import try_on_result
from gateway.ui.shown import ShownPictures
from gateway.ui.stages import TRY_ON

_EXAMPLES = Path(__file__).with_name("examples")
_HINT = "Choose a person and a garment, then press Try it on."
_CATEGORIES = [("Auto", "auto"), ("Top", "tops"), ("Bottoms", "bottoms"), ("One-piece", "one-pieces")]
_MODES = [("Fast", "fast"), ("Premium", "premium")]
_MERGES = [("Balanced", "balanced"), ("Seamless", "seamless"), ("Detailed", "detailed")]
_PRESERVED = ["arms", "legs", "garment", "background"]
"""What stays by itself anyway is not offered."""


def try_on_tab(pictures: ShownPictures) -> None:
    """Lay the tab out and connect it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            with gr.Row(elem_classes="pair"):
                with gr.Column(min_width=140):
                    person = picture_input("Person", "person", "Drop a picture of one person")
                    picture_examples(_examples("person"), person, "People")
                with gr.Column(min_width=140):
                    garment = picture_input("Garment", "garment", "Drop a picture of a garment")
                    picture_examples(_examples("garment"), garment, "Garments")
            with gr.Row():
                mode = gr.Radio(
                    _MODES,
                    value="fast",
                    label="Mode",
                    info="Premium draws several and keeps the best.",
                    elem_id="mode",
                )
                category = gr.Radio(
                    _CATEGORIES,
                    value="auto",
                    label="Garment",
                    info="Auto: as its picture looks.",
                    elem_id="category",
                )
            with gr.Accordion("More settings", open=False, elem_id="try-on-more"):
                with gr.Row():
                    samples = gr.Slider(1, 4, 1, step=1, label="Pictures", buttons=[], elem_id="samples")
                    seed = number_input("Seed", "random", "try-on-seed")
                merge = gr.Radio(_MERGES, value="balanced", label="How the new joins the old", elem_id="merge")
                preserve = gr.CheckboxGroup(
                    _PRESERVED, label="Leave as they are", info="Face, hair, hands and shoes stay anyway."
                )
                with gr.Row():
                    steps = number_input("Steps", "the mode's", "try-on-steps")
                    guidance = number_input("Guidance", "the mode's", "try-on-guidance")
                exact = gr.Checkbox(label=EXACT, elem_id="try-on-exact")
            start = gr.Button("Try it on", variant="primary", size="lg", elem_id="try-on-start")
            stop = gr.Button("Cancel", variant="stop", size="lg", visible=False, elem_id="try-on-stop")
        with gr.Column(scale=6, min_width=320):
            status = panel_status(_HINT, "try-on-status")
            preview = panel_preview("try-on-preview")
            result = try_on_result()
    panel = Panel(start, stop, status, preview, TRY_ON, pictures)

    async def try_on(  # noqa: PLR0917 - Gradio passes them by place
        person_file: Path | None,
        garment_file: Path | None,
        mode_name: str,
        category_name: str,
        count: int,
        seed_text: str,
        merge_name: str,
        preserved: Sequence[str],
        step_count: str,
        guidance_text: str,
        exactly: bool,
        request: gr.Request,
    ) -> AsyncGenerator[Changes, None]:
        order = TryOnOrder(
            category=category_name,
            merge_style=merge_name,
            preserve=tuple(preserved) or None,
            num_samples=count,
            seed=number(seed_text),
            num_inference_steps=number(step_count),
            guidance_scale=number(guidance_text),
            deterministic=exactly,
        )
        named = (("model_image", person_file), ("garment_image", garment_file))
        files = [FormFile(field, path) for field, path in named if path is not None]

        async def show(api: Api, answer: JobAnswer) -> Changes:
            assert isinstance(answer, PicturesAnswer)
            assert person_file is not None, "the API answers no try-on without a person"
            return await result.show(api, answer, person_file, pictures)

        async with aclosing(
            panel.play(request, lambda api: api.order(f"/v1/tryon-{mode_name}", order, files), show)
        ) as playing:
            async for changes in playing:
                yield changes

    start.click(
        try_on,
        [person, garment, mode, category, samples, seed, merge, preserve, steps, guidance, exact],
        [*panel.components, *result.components],
        show_progress="hidden",
        api_visibility="private",
    )
    panel.connect_stop()


def _examples(kind: str) -> list[Path]:
    return sorted(_EXAMPLES.glob(f"{kind}-*.png"))
