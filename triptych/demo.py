"""`triptych demo`: the whole stack on free ports: prompts at once, people in other clothes, layers; a sheet of all."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from triptych.demo_layers import DemoLayers, take_apart
from triptych.demo_pictures import decoded
from triptych.demo_prompts import DEMO_PROMPTS, DemoPrompt
from triptych.demo_sheet import draw_sheet
from triptych.demo_tryon import GARMENTS, DemoTryOn, dress
from triptych.run_state import read_state, state_file

_PARTIALS = 3
_START_SECONDS = 900.0
_ENVIRONMENT = {"TRIPTYCH_MODELS__ALIASES": "[]"}
"""The prompts are the embedded model's: others, which may have to be compiled for long, are left out."""
_STOP_SECONDS = 60.0
_APART, _ELSEWHERE = 3, 1
"""Of the prompts: whose picture is taken apart, and where to."""


class DemoError(RuntimeError):
    """The stack did not come up or did not answer; the message says where to look."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """One prompt's picture, the estimates that were streamed before it, and how long it took in seconds."""

    prompt: DemoPrompt
    picture: Image.Image
    partials: tuple[Image.Image, ...]
    seconds: float


def run_demo(runtime_directory: Path, backend: str, console: Console) -> Path:
    """Run the demo and return the contact sheet's path. Raises DemoError."""
    folder = runtime_directory / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    with _stack(runtime_directory, backend, folder / "serve.log", console) as url:
        began = time.perf_counter()
        results = asyncio.run(_draw_all(url, console))
        seconds = time.perf_counter() - began
        people = [result.picture for result in results]
        dressed = asyncio.run(_dress_all(url, people, console))
        apart = asyncio.run(_take_apart(url, people, console))
    for index, result in enumerate(results, start=1):
        result.picture.save(folder / f"{index:02}.png")
    sheet = folder / "sheet.png"
    rows = [(item.prompt.text, (*item.partials, item.picture)) for item in results]
    draw_sheet([*rows, *(item.row for item in dressed), *apart.rows]).save(sheet)
    steps = sum(item.prompt.steps for item in results)
    console.print(
        f"[green]{len(results)} pictures, {steps} denoising steps in {seconds:.1f} s[/], all requests in flight at once"
    )
    console.print(
        f"[green]{len(dressed)} people dressed, fast and premium, in {max(item.seconds for item in dressed):.1f} s[/]"
    )
    likeness = "exactly the picture" if apart.psnr is None else f"{apart.psnr:.1f} dB like the picture"
    console.print(
        f"[green]a picture taken apart into {len(apart.layers)} layers and put together again "
        f"in {apart.seconds:.1f} s[/], {likeness}"
    )
    return sheet


@contextmanager
def _stack(runtime_directory: Path, backend: str, log: Path, console: Console) -> Iterator[str]:
    """`triptych serve` as a child process; yields its URL once it is ready."""
    state_file(runtime_directory).unlink(missing_ok=True)
    command = [sys.executable, "-m", "triptych", "serve", "--port", "0", "--backend", backend]
    command += ["--runtime-directory", str(runtime_directory)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **_ENVIRONMENT})
    try:
        with console.status(f"starting the stack ({backend}); log: {log}") as status:
            url = _wait_ready(server, runtime_directory, log, status.update)
        console.print(f"ready at {url}")
        yield url
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_ready(
    server: subprocess.Popen[bytes], runtime_directory: Path, log: Path, show: Callable[[str], None]
) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise DemoError(f"the stack stopped while starting (exit code {server.returncode}):\n{tail}")
        lines = log.read_text(errors="replace").splitlines()
        if lines:
            show(lines[-1][:160])
        try:
            url = read_state(runtime_directory).gateway_url
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                return url
        except (FileNotFoundError, httpx.HTTPError):
            pass
        time.sleep(0.2)
    raise DemoError(f"the stack was not ready after {_START_SECONDS:.0f} s; its log is {log}")


async def _draw_all(url: str, console: Console) -> list[DemoResult]:
    """Every prompt at once, through the official client, with a bar a request."""
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none-needed", max_retries=0)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bars = [
            progress.add_task(f"{prompt.steps:>2} steps  {prompt.text[:72]}", total=_PARTIALS + 1)
            for prompt in DEMO_PROMPTS
        ]
        pairs = zip(DEMO_PROMPTS, bars, strict=True)
        return await asyncio.gather(*(_draw(client, prompt, progress, bar) for prompt, bar in pairs))


async def _dress_all(url: str, people: Sequence[Image.Image], console: Console) -> list[DemoTryOn]:
    """The first people that were drawn, each in one of the garments, all at once."""
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none-needed", max_retries=0)
    with console.status("dressing people"):
        return await asyncio.gather(*(dress(client, *pair) for pair in zip(people, GARMENTS, strict=False)))


async def _take_apart(url: str, people: Sequence[Image.Image], console: Console) -> DemoLayers:
    """A picture of somebody in two garments, who is also put in another's place."""
    client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none-needed", max_retries=0)
    with console.status("taking a picture apart"):
        return await take_apart(client, people[_APART], people[_ELSEWHERE])


async def _draw(client: openai.AsyncOpenAI, prompt: DemoPrompt, progress: Progress, bar: TaskID) -> DemoResult:
    began = time.perf_counter()
    stream = await client.images.generate(
        prompt=prompt.text,
        stream=True,
        partial_images=_PARTIALS,
        extra_body={"num_inference_steps": prompt.steps, "seed": prompt.seed},
    )
    pictures: list[Image.Image] = []
    async for event in stream:
        progress.advance(bar)
        pictures.append(decoded(event.b64_json).convert("RGB"))
    if not pictures:
        raise DemoError(f"no picture came back for: {prompt.text}")
    return DemoResult(prompt, pictures[-1], tuple(pictures[:-1]), time.perf_counter() - began)
