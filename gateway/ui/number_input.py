"""Numbers that may be left out. Gradio's own field for numbers turns into 0 when it is unfolded."""

import gradio as gr


def number_input(label: str, unset: str, name: str) -> gr.Textbox:
    """`unset`: what an empty field means; `name` is the element's id."""
    return gr.Textbox(label=label, placeholder=unset, max_lines=1, min_width=120, elem_id=name)


def number(text: str | None) -> int | float | str | None:
    """None for an empty field. What is no number stays as it is: the API says what it wants instead.

    `text` is None where nobody has unfolded what the field lies in.
    """
    text = (text or "").strip()
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text or None
