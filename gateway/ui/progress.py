"""A job's progress as HTML: a bar, the part that is worked on, and the parts before and after it."""

from dataclasses import dataclass
from enum import StrEnum
from html import escape

from gateway.ui.stages import Stages


class Phase(StrEnum):
    """Where a visitor's order is."""

    STARTING = "starting"
    QUEUED = "queued"
    WORKING = "working"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of an order. `share` 0 to 1; `place` in the queue, 1 is next; `seconds` since it was placed."""

    phase: Phase
    seconds: float = 0.0
    share: float = 0.0
    stage: str | None = None
    place: int | None = None


_TITLES = {
    Phase.STARTING: "Sending the pictures",
    Phase.QUEUED: "Waiting for a free place",
    Phase.WORKING: "Working",
    Phase.DONE: "Done",
    Phase.CANCELLED: "Cancelled: nothing is running any more",
    Phase.FAILED: "That did not work",
}


def progress_html(progress: Progress, stages: Stages) -> str:
    """For one gr.HTML; screen readers hear of changes of its title."""
    percent = round(100 * (1.0 if progress.phase is Phase.DONE else progress.share))
    return (
        f'<section class="progress {progress.phase}" data-phase="{progress.phase}" '
        f'data-stage="{escape(progress.stage or "")}" data-percent="{percent}">'
        f'<div class="line"><strong role="status">{escape(_title(progress, stages))}</strong>'
        f"<span>{_figures(progress, percent)}</span></div>"
        f'<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>'
        f"{_steps(progress, stages)}</section>"
    )


def hint_html(text: str) -> str:
    """What to do, before anything was done."""
    return f'<p class="hint">{escape(text)}</p>'


def error_html(message: str, field: str | None) -> str:
    """The API's own words, and the field that it names."""
    where = f'<span class="field" data-field="{escape(field)}">{escape(field)}</span>' if field else ""
    title = f"<strong>{_TITLES[Phase.FAILED]}</strong>"
    return f'<section class="problem" role="alert">{title}{where}<p>{escape(message)}</p></section>'


def warnings_html(warnings: tuple[str, ...]) -> str:
    """Sentences of the API for the visitor; empty for none."""
    return "".join(f'<p class="warning">{escape(warning)}</p>' for warning in warnings)


def _title(progress: Progress, stages: Stages) -> str:
    if progress.phase is Phase.WORKING and progress.stage is not None:
        return stages.title(progress.stage)
    return _TITLES[progress.phase]


def _figures(progress: Progress, percent: int) -> str:
    waiting = f"place {progress.place} · " if progress.phase is Phase.QUEUED and progress.place else ""
    share = f"{percent} % · " if progress.phase is Phase.WORKING else ""
    return f"{waiting}{share}{progress.seconds:.0f} s"


def _steps(progress: Progress, stages: Stages) -> str:
    names = list(stages.titles)
    if progress.stage not in names:
        return ""
    now = names.index(progress.stage)
    items = []
    for place, name in enumerate(names):
        state = "done" if place < now or progress.phase is Phase.DONE else "now" if place == now else "next"
        items.append(f'<li class="{state}">{escape(stages.title(name))}</li>')
    return f"<ol>{''.join(items)}</ol>"
