"""Which release of a model Triton serves whole: the newest version that is ready in every component."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tritonclient.grpc.aio import InferenceServerClient

from families.manifest import Component, triton_model_name
from gateway.adapters.triton.errors import translated, unavailable
from gateway.domain.backend import Release

FRESH_SECONDS = 1.0
"""How long an answer is believed. Whoever replaces a model must let the old release serve on for longer than this."""


@dataclass(frozen=True, slots=True)
class _Known:
    release: Release
    since: float


class Releases:
    """Asks at most once a second and model, however many requests there are. Triton names no versions on its own."""

    def __init__(
        self,
        client: Callable[[], InferenceServerClient],
        components: Mapping[str, tuple[Component, ...]],
        timeout: float,
    ) -> None:
        """`components` of each model; `timeout` in seconds, of one question."""
        self._client = client
        self._components = components
        self._timeout = timeout
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[Release]] = {}

    async def newest(self, model: str) -> Release:
        """The newest whole release. Raises BackendError, BackendUnavailable where there is none."""
        known = self._known.get(model)
        if known is not None and time.monotonic() - known.since < FRESH_SECONDS:
            return known.release
        asking = self._asking.get(model)
        if asking is None:
            asking = asyncio.create_task(self._ask(model))
            # Every waiter may be gone by the time it fails; the failure is then nobody's.
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            asking.add_done_callback(lambda _: self._asking.pop(model, None))
            self._asking[model] = asking
        # The answer serves whoever else waits for it: one caller's cancellation must not end the question.
        return await asyncio.shield(asking)

    def forget(self, release: Release) -> None:
        """This one was found to be gone: ask before the next answer."""
        known = self._known.get(release.model)
        if known is not None and known.release == release:
            del self._known[release.model]

    async def close(self) -> None:
        """Stop asking."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, model: str) -> Release:
        since = time.monotonic()
        served = await asyncio.gather(
            *(self._versions(triton_model_name(model, part)) for part in self._components[model])
        )
        whole = _common(served)
        if not whole:
            raise unavailable(f"no version of {model} is ready in every component")
        release = Release(model, max(whole, key=int))
        self._known[model] = _Known(release, since)
        return release

    async def _versions(self, name: str) -> set[str]:
        """Triton lists a version here while it takes requests, and no longer once it is being unloaded."""
        with translated():
            metadata = await self._client().get_model_metadata(name, client_timeout=self._timeout)
        return set(metadata.versions)


def _common(served: Iterable[set[str]]) -> set[str]:
    return set.intersection(*served)
