"""The page as Gradio builds it: its tabs, and everything of Gradio's that talks to others switched off."""

import os
import shutil
from pathlib import Path

import gradio as gr
from starlette.applications import Starlette

from gateway.ui.generate_tab import generate_tab
from gateway.ui.layers_tab import layers_tab
from gateway.ui.look import CSS, theme
from gateway.ui.shown import ShownPictures
from gateway.ui.try_on_tab import try_on_tab

_DELETE_EVERY_SECONDS = 300
_KEEP_SECONDS = 3600
"""How long a visitor's pictures stay: as long as links to pictures do by default."""
_MASTHEAD = """
<header class="masthead"><h1>Triptych</h1>
<p>Put people into other clothes, take pictures apart, and draw them from words.</p></header>
"""


def build_application(path: str, root_path: str, folder: Path, max_upload_bytes: int) -> Starlette:
    """An application that serves the page under `path`. Its lifespan must be entered before its first request.

    `root_path`: where visitors find it, which is longer behind a proxy that strips the beginning of paths.
    `folder` is emptied, and takes what visitors upload and are shown, private to this user.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    os.environ["GRADIO_TEMP_DIR"] = str(folder.resolve())
    shell = Starlette()
    gr.mount_gradio_app(
        shell,
        _blocks(ShownPictures(folder.resolve())),
        path,
        root_path=root_path,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=max_upload_bytes,
        theme=theme(),
        css=CSS.read_text(encoding="utf-8"),
    )
    return shell


def _blocks(pictures: ShownPictures) -> gr.Blocks:
    with gr.Blocks(
        analytics_enabled=False,
        title="Triptych",
        fill_width=True,
        delete_cache=(_DELETE_EVERY_SECONDS, _KEEP_SECONDS),
    ) as blocks:
        gr.HTML(_MASTHEAD)
        with gr.Tab("Try on", id="try-on"):
            try_on_tab(pictures)
        with gr.Tab("Layers", id="layers"):
            layers_tab(pictures, blocks)
        with gr.Tab("Generate", id="generate"):
            generate_tab(pictures)
    # How much work is done at once is the gateway's to say, not the page's.
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks
