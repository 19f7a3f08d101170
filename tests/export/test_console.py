"""Progress where somebody watches, and where a log does."""

import io

from rich.console import Console

from export.cli.console import progress_lines
from export.progress import Progress, Stage
from families.manifest import Component

NEWS = (
    Progress("tiny", Component.DENOISER, Stage.COMPILING),
    Progress("tiny", Component.DENOISER, Stage.COMPILING, "timing tactics", 0.25),
    Progress("tiny", Component.DENOISER, Stage.COMPILING, "timing tactics", 0.75),
    Progress("tiny", Component.DENOISER, Stage.BUILT),
    Progress("tiny", Component.VAE_DECODER, Stage.CACHED),
)


def _told(terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    with progress_lines(console) as listener:
        for news in NEWS:
            listener(news)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_log_gets_a_line_a_stage() -> None:
    assert _told(False).splitlines() == [
        "tiny.denoiser compiling",
        "tiny.denoiser built",
        "tiny.vae_decoder cached",
    ]


def test_a_terminal_gets_a_bar_a_component() -> None:
    told = _told(True)
    assert "tiny.denoiser" in told and "tiny.vae_decoder" in told
    assert "built" in told and "cached" in told
    assert "✓" in told
