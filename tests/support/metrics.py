"""Reads Prometheus text from Triton and the gateway."""

import asyncio
import re
import time

import httpx

from tests.support.stack import RunningStack

_SETTLED_SECONDS = 0.5


def sample(text: str, name: str, labels: re.Pattern[str] | None = None) -> float:
    """Sum of a metric's samples whose labels match; 0 when there is none."""
    total = 0.0
    for line in text.splitlines():
        match = re.match(rf"{re.escape(name)}(\{{.*\}})? (\S+)$", line)
        if match and (labels is None or labels.search(match.group(1) or "")):
            total += float(match.group(2))
    return total


async def triton_metrics(stack: RunningStack) -> str:
    """Triton's own metrics page."""
    async with httpx.AsyncClient() as http:
        return (await http.get(stack.state().triton_metrics_url, timeout=10)).text


async def gateway_metrics(stack: RunningStack) -> str:
    """The gateway's metrics page."""
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{stack.url}/metrics", timeout=10)).text


async def wait_until_idle(stack: RunningStack, seconds: float = 20) -> None:
    """Until the step engine holds nothing, neither in flight nor waiting.

    The page lags the engine by a quarter of a second, so it must say so for longer than that.
    """
    deadline = time.monotonic() + seconds
    idle_since: float | None = None
    while idle_since is None or time.monotonic() - idle_since < _SETTLED_SECONDS:
        text = await triton_metrics(stack)
        held = sample(text, "triptych_engine_active_images") + sample(text, "triptych_engine_waiting_images")
        if held:
            idle_since = None
        elif idle_since is None:
            idle_since = time.monotonic()
        assert time.monotonic() < deadline, f"the engine still holds {held} images after {seconds} s"
        await asyncio.sleep(0.05)
