"""Where a picture that was taken apart is seen: its layers, what they look like together, and files of them."""

import asyncio
import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gateway.ui.answers import InlineFile, LayersAnswer, Problem
from gateway.ui.api import Api, ApiError
from gateway.ui.layer_stack import SCRIPT, LayerStack, StackedLayer, stack_html, stacked
from gateway.ui.panel import Changes
from gateway.ui.progress import error_html
from gateway.ui.shown import ShownPictures
from gateway.ui.visitor import api_of

_FILES = {"psd": "PSD", "ora": "ORA", "pptx": "PPTX", "zip": "ZIP"}
_EXACT = "exactly the picture"
_GONE = "These layers have been deleted since: take the picture apart again."
_CLICK = "file => { if (file) document.querySelector('#layers-file').click(); }"
"""Files are made when they are asked for: a button that is not seen hands them out."""


@dataclass(frozen=True)
class LayersResult:
    """Components, hidden until there is a result. `stack`: as the visitor has changed it."""

    pictures: ShownPictures
    facts: gr.HTML
    composite: gr.Image
    rows: gr.HTML
    downloads: gr.Row
    file: gr.DownloadButton
    problem: gr.HTML
    stack: gr.State

    @property
    def components(self) -> list[gr.components.Component]:
        """What `show` changes."""
        return [self.facts, self.composite, self.rows, self.downloads, self.problem, self.stack]

    async def show(self, api: Api, answer: LayersAnswer) -> Changes:
        """A picture that was taken apart. Raises ApiError where a layer cannot be fetched."""
        composite = await self.pictures.keep(api, answer.composite.url, "composite")
        return {
            **self._stacked(LayerStack(tuple(await self._layers(api, answer)))),
            self.composite: gr.update(value=composite, visible=True),
            self.facts: gr.update(value=facts_html(answer), visible=True),
        }

    async def show_apart(self, api: Api, answer: LayersAnswer, stack: LayerStack, key: str) -> Changes:
        """A layer of `stack` that was taken apart itself."""
        layer = stack.find(key)
        assert layer is not None
        parts = await self._layers(api, answer, f"{layer.name}/")
        stack = stack.replaced(key, parts)
        return {**self._stacked(stack), **await self._composed(api, stack)}

    def connect(self, buttons: Sequence[tuple[str, gr.Button]]) -> None:
        """What is done to the layers is seen at once, and files are of what is seen."""

        async def edit(stack: LayerStack, event: gr.EventData, request: gr.Request) -> Changes:
            edited = stack.changed(event._data.get("layers"))
            async with api_of(request) as api:
                return {self.stack: edited, **await self._composed(api, edited)}

        self.rows.input(
            edit,
            [self.stack],
            [self.stack, self.composite, self.problem],
            trigger_mode="always_last",
            show_progress="hidden",
            api_visibility="private",
        )
        for output, button in buttons:

            async def write(stack: LayerStack, request: gr.Request, output: str = output) -> Changes:
                async with api_of(request) as api:
                    return await self._written(api, stack, output)

            button.click(
                write,
                [self.stack],
                [self.file, self.problem],
                show_progress="hidden",
                api_visibility="private",
            ).then(None, [self.file], None, js=_CLICK, api_visibility="private")

    async def _layers(self, api: Api, answer: LayersAnswer, prefix: str = "") -> list[StackedLayer]:
        async def one(index: int) -> StackedLayer:
            layer = answer.data[index]
            path = await self.pictures.keep(api, layer.url, f"layer-{index}")
            return await stacked(secrets.token_hex(8), prefix + layer.name, Path(path))

        return list(await asyncio.gather(*map(one, range(len(answer.data)))))

    def _stacked(self, stack: LayerStack) -> Changes:
        return {
            self.stack: stack,
            self.rows: gr.update(value=stack_html(stack), visible=True),
            self.downloads: gr.update(visible=True),
            self.problem: gr.update(visible=False),
        }

    async def _composed(self, api: Api, stack: LayerStack) -> Changes:
        try:
            fields, files = stack.form()
            answer = await api.compose(fields, files)
        except (ApiError, FileNotFoundError) as error:
            return {self.problem: _problem(error)}
        path = await self._kept(answer.data[0], "composite.png")
        return {self.composite: gr.update(value=path), self.problem: gr.update(visible=False)}

    async def _written(self, api: Api, stack: LayerStack, output: str) -> Changes:
        try:
            fields, files = stack.form()
            answer = await api.compose({**fields, "output": output}, files)
        except (ApiError, FileNotFoundError) as error:
            return {self.file: None, self.problem: _problem(error)}
        assert answer.file is not None, "the API was asked for a file"
        path = await self._kept(answer.file, f"layers.{output}")
        return {self.file: path, self.problem: gr.update(visible=False)}

    async def _kept(self, file: InlineFile, name: str) -> str:
        return await self.pictures.write(base64.b64decode(file.b64_json), name)


def layers_result(pictures: ShownPictures) -> LayersResult:
    """Lay the result out, hidden."""
    facts = gr.HTML("", visible=False, elem_id="layers-facts")
    problem = gr.HTML("", visible=False, elem_id="layers-problem")
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=260):
            composite = gr.Image(
                label="All layers together",
                type="filepath",
                visible=False,
                interactive=False,
                format="png",
                height=380,
                buttons=["download", "fullscreen"],
                elem_id="layers-composite",
                elem_classes="see-through",
            )
        with gr.Column(scale=5, min_width=300):
            rows = gr.HTML(
                "",
                visible=False,
                apply_default_css=False,
                js_on_load=SCRIPT.read_text(encoding="utf-8"),
                elem_id="layers-stack",
            )
            with gr.Row(visible=False, elem_id="layers-downloads") as downloads:
                buttons = [
                    (output, gr.Button(title, size="sm", min_width=60, elem_id=f"layers-{output}"))
                    for output, title in _FILES.items()
                ]
    file = gr.DownloadButton("File", visible="hidden", elem_id="layers-file")
    result = LayersResult(pictures, facts, composite, rows, downloads, file, problem, gr.State(LayerStack()))
    result.connect(buttons)
    return result


def facts_html(answer: LayersAnswer) -> str:
    """What the API says of the layers, for one gr.HTML."""
    psnr = answer.recomposition_psnr
    near = _EXACT if psnr is None else f"the picture to {psnr:g} dB"
    facts = {
        "Together they are": near,
        "Layers": str(len(answer.data)),
        "Size": answer.size,
        "Drawn at": answer.drawn_size,
        "Seed": str(answer.seed),
    }
    items = "".join(f"<div><dt>{title}</dt><dd>{escape(value)}</dd></div>" for title, value in facts.items())
    psnr_text = "exact" if psnr is None else f"{psnr:g}"
    return f'<dl class="facts" data-psnr="{psnr_text}">{items}</dl>'


def _problem(error: ApiError | FileNotFoundError) -> dict[str, Any]:
    problem = error.problem if isinstance(error, ApiError) else Problem(message=_GONE)
    update: dict[str, Any] = gr.update(value=error_html(problem.message, problem.param), visible=True)
    return update
