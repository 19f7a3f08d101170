"""How a build tells where it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from families.manifest import Component


class Stage(StrEnum):
    """Where the work on a component stands."""

    CACHED = "cached"
    CORRUPT = "corrupt, built anew"
    WAITING = "waiting for another build"
    COMPILING = "compiling"
    VERIFYING = "verifying"
    BUILT = "built"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Progress:
    """One piece of news. `done` is the finished share of the stage, 0 to 1, None where that cannot be known."""

    model: str
    component: Component
    stage: Stage
    doing: str = ""
    done: float | None = None


ProgressListener = Callable[[Progress], None]
"""May be called from any thread."""


def ignore_progress(_news: Progress) -> None:
    """The listener for callers that want none."""
