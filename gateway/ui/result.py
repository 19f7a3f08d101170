"""Where a finished try-on is seen: before and after, all its pictures, their scores, and what the stages made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from gateway.ui.answers import PictureAnswer, PicturesAnswer
from gateway.ui.api import Api
from gateway.ui.panel import Changes
from gateway.ui.scores import scores_html
from gateway.ui.shown import ShownPictures
from gateway.ui.stages import caption


@dataclass(frozen=True)
class TryOnResult:
    """Components, hidden until there is a result. `shown`: the files of the person and of the pictures."""

    compare: gr.ImageSlider
    download: gr.DownloadButton
    gallery: gr.Gallery
    scores: gr.HTML
    intermediates: gr.Gallery
    shown: gr.State

    @property
    def components(self) -> list[gr.components.Component]:
        """What `show` changes."""
        return [self.compare, self.download, self.gallery, self.scores, self.intermediates, self.shown]

    def connect(self) -> None:
        """A picture that is chosen is compared and offered for download."""

        def choose(files: Sequence[str], event: gr.SelectData) -> Changes:
            return self._chosen(files[0], files[1 + event.index])

        self.gallery.select(
            choose,
            [self.shown],
            [self.compare, self.download],
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )

    async def show(self, api: Api, answer: PicturesAnswer, person: Path, pictures: ShownPictures) -> Changes:
        """`answer` for `person`. Raises ApiError where a picture cannot be fetched."""
        files = [await pictures.keep(api, picture.url, f"try-on-{picture.seed}") for picture in answer.data]
        stages = [
            (await pictures.keep(api, stage.url, stage.name), caption(stage.name))
            for stage in answer.intermediates or ()
        ]
        captioned = list(zip(files, map(_caption, answer.data), strict=True))
        return {
            **self._chosen(str(person), files[0]),
            self.gallery: gr.update(value=captioned, visible=len(files) > 1, columns=len(files), selected_index=None),
            self.scores: gr.update(value=scores_html(answer.candidates or ()), visible=True),
            self.intermediates: gr.update(value=stages, visible=bool(stages), selected_index=None),
            self.shown: [str(person), *files],
        }

    def _chosen(self, person: str, picture: str) -> Changes:
        return {
            self.compare: gr.update(value=(person, picture), visible=True),
            self.download: gr.update(value=picture, visible=True),
        }


def try_on_result() -> TryOnResult:
    """Lay the result out, hidden."""
    compare = gr.ImageSlider(
        label="Before and after",
        visible=False,
        interactive=False,
        max_height=480,
        buttons=["fullscreen"],
        type="filepath",
        elem_id="compare",
    )
    download = gr.DownloadButton("Download", visible=False, size="md", elem_id="download")
    gallery = gr.Gallery(
        label="Choose one",
        visible=False,
        interactive=False,
        object_fit="contain",
        height=220,
        allow_preview=False,
        buttons=[],
        elem_id="results",
        elem_classes="strip",
    )
    scores = gr.HTML("", visible=False, elem_id="scores")
    intermediates = gr.Gallery(
        label="How it was made",
        visible=False,
        interactive=False,
        columns=6,
        object_fit="contain",
        buttons=["download", "fullscreen"],
        elem_id="intermediates",
        elem_classes="strip",
    )
    result = TryOnResult(compare, download, gallery, scores, intermediates, gr.State([]))
    result.connect()
    return result


def _caption(picture: PictureAnswer) -> str:
    score = "" if picture.score is None else f" · {round(100 * picture.score)} of 100"
    return f"seed {picture.seed}{score}"
