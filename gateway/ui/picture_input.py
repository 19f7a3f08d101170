"""An upload that hands on the visitor's file as it is: judging and converting pictures is the API's work."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr


def picture_input(label: str, name: str, hint: str) -> gr.Image:
    """Takes files that are dropped, chosen or pasted; its value is a Path or None. `name` is the element's id."""
    component = gr.Image(
        label=label,
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        placeholder=hint,
        height=290,
        buttons=["fullscreen"],
        elem_id=name,
        elem_classes="picture-input",
    )
    # Not a class of our own: for every such class Gradio writes an interface file beside its source. Events may give
    # the component new values, but no gr.update: Gradio would make a new one for the visitor, of its own class.
    component.preprocess = _uploaded
    return component


def picture_examples(pictures: Sequence[Path], component: gr.Image, label: str) -> None:
    """Pictures to choose from; `component` takes the one that is clicked."""
    samples = [[str(path)] for path in pictures]
    dataset = gr.Dataset(components=[component], samples=samples, label=label, elem_classes="examples")

    def choose(sample: list[str]) -> str:
        return sample[0]

    dataset.click(choose, [dataset], [component], queue=False, show_progress="hidden", api_visibility="private")


def _uploaded(payload: Any) -> Path | None:
    """Of Gradio's ImageData, whose path it has found to be one of its uploads. It would decode the file otherwise, and
    refuse it in its own words.
    """
    return None if payload is None or payload.path is None else Path(payload.path)
