"""A running Triton takes over a published release without losing a request.

Requests name the release that they began with (`gateway.adapters.triton.releases`), so for a while both are served:

1. every component loads the new version beside the old one; where one cannot, all stay as they were
2. callers have noticed: whatever begins from now on is of the new release
3. text encoder and denoiser let the old version go, which takes no new request and ends with its last one in flight
4. and when the last old picture is denoised and decoded, so does the decoder

The repository's own files already say what a Triton serves that starts anew, so an interruption at any point leaves
nothing wrong: the next swap goes on from wherever this one stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from export.artefacts.staging import locked
from export.errors import SwapError
from export.publishing.publish import Published
from export.publishing.release import CONFIG_FILE
from export.publishing.running_triton import RunningTriton, ServedState
from export.publishing.seal import read_seal
from families.manifest import Component, triton_model_name

_log = logging.getLogger(__name__)


class SwapStage(StrEnum):
    """Where a swap stands."""

    LOADING = "loading beside the served release"
    SETTLING = "waiting until callers have noticed"
    DRAINING = "waiting for requests of the old release"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class SwapTimes:
    """Seconds. `settle` must be well over what callers take to notice (a second), and one decode; after `drain` the
    old release goes although requests of it are still in flight: they begin again with the new one.
    """

    settle: float = 3.0
    drain: float = 600.0
    poll: float = 0.1


def swap(
    published: Published,
    repository: Path,
    triton: RunningTriton,
    times: SwapTimes | None = None,
    tell: Callable[[SwapStage], None] = lambda _: None,
) -> tuple[int, ...]:
    """Have `triton`, which serves `repository`, take the release; the versions that it let go.

    Raises SwapError where it cannot, and then Triton serves what it did.
    """
    times = times or SwapTimes()
    with locked(repository / "swap"):
        swapping = _Swap(published, repository, triton, times, tell)
        swapping.run()
        return swapping.old


class _Swap:
    def __init__(
        self,
        published: Published,
        repository: Path,
        triton: RunningTriton,
        times: SwapTimes,
        tell: Callable[[SwapStage], None],
    ) -> None:
        self._published = published
        self._repository = repository
        self._triton = triton
        self._times = times
        self._tell = tell
        self._configs = {
            name: (repository / name / CONFIG_FILE).read_text(encoding="utf-8") for name in published.names
        }
        self.old = self._served_before()

    def run(self) -> None:
        names, version = self._published.names, self._published.version
        self._check_contract()
        self._tell(SwapStage.LOADING)
        self._load_both()
        if self.old:
            self._tell(SwapStage.SETTLING)
            time.sleep(self._times.settle)
            self._tell(SwapStage.DRAINING)
            decoder = triton_model_name(self._published.model, Component.VAE_DECODER)
            others = [name for name in names if name != decoder]
            self._load(others, [version])
            self._wait_gone(others)
            time.sleep(self._times.settle)
            self._load([decoder], [version])
            self._wait_gone([decoder])
        self._tell(SwapStage.DONE)

    def _served_before(self) -> tuple[int, ...]:
        served = self._triton.served()
        ready = {
            version
            for name in self._published.names
            for version, state in served.get(name, {}).items()
            if state is ServedState.READY
        }
        return tuple(sorted(ready - {self._published.version}))

    def _check_contract(self) -> None:
        """Callers that run know the old release's tokens and shapes; another's would give wrong pictures in silence."""
        model, version, name = self._published.model, self._published.version, self._published.names[0]
        new = read_seal(self._repository / name / str(version))
        for number in self.old:
            old = read_seal(self._repository / name / str(number))
            if old is None or new is None or old.contract != new.contract:
                raise SwapError(
                    f"{model}: versions {number} and {version} differ in tokenizer, tensors or sizes, which running "
                    f"gateways have read already: restart them with Triton, which then serves version {version}"
                )

    def _load_both(self) -> None:
        """The step engine last: it takes longest. On failure every model goes back to what it served, if anything."""
        engine = triton_model_name(self._published.model, Component.DENOISER)
        names = sorted(self._published.names, key=lambda name: name == engine)
        try:
            self._load(names, [*self.old, self._published.version])
        except SwapError as error:
            _log.error("going back to version %s: %s", ", ".join(map(str, self.old)) or "none", error)
            for name in names if self.old else ():
                try:
                    self._load([name], self.old)
                except SwapError:
                    _log.exception("%s could not go back", name)
            raise

    def _load(self, names: Iterable[str], versions: Sequence[int]) -> None:
        for name in names:
            there = [version for version in versions if (self._repository / name / str(version)).is_dir()]
            if there:
                self._triton.load(name, self._configs[name], there)

    def _wait_gone(self, names: Sequence[str]) -> None:
        """Until no request of an old version is in flight."""
        deadline = time.monotonic() + self._times.drain
        gone = (None, ServedState.UNAVAILABLE)
        while time.monotonic() < deadline:
            served = self._triton.served()
            if all(served.get(name, {}).get(number) in gone for name in names for number in self.old):
                return
            time.sleep(self._times.poll)
        _log.warning("requests of version %s outlasted %g s", ", ".join(map(str, self.old)), self._times.drain)
