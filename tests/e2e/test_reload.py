"""`triptych export publish --reload` beside a `triptych serve` that works."""

import asyncio
import subprocess
import sys

import openai

from tests.e2e.test_in_flight import Ask, draw
from tests.support.stack import PROJECT, RunningStack


def publish(stack: RunningStack, *options: str) -> str:
    command = [sys.executable, "-m", "triptych", "export", "publish", "--runtime-dir", str(stack.runtime_directory)]
    done = subprocess.run([*command, "--reload", *options], check=False, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_options_change_under_a_running_stack(stack: RunningStack, async_client: openai.AsyncOpenAI) -> None:
    ask = Ask("a woman wearing a yellow dotted dress", 6, "euler", 77, deterministic=True)
    before = await draw(async_client, ask)
    stopping = False
    pictures: list[bytes] = []

    async def keep_asking() -> None:
        while not stopping:
            pictures.append(await draw(async_client, ask))

    load = [asyncio.ensure_future(keep_asking()) for _ in range(3)]
    try:
        said = await asyncio.to_thread(publish, stack, "--queue-images", "48")
        assert "Triton serves version 1" in said
    finally:
        stopping = True
        await asyncio.gather(*load)
    assert set(pictures) == {before}
    assert stack.process.poll() is None
    config = stack.runtime_directory / "model_repository" / "wardrobe.denoiser" / "config.pbtxt"
    assert '"queue_images" value { string_value: "48" }' in config.read_text()


def test_without_a_running_stack_it_says_so(stack: RunningStack) -> None:
    command = [sys.executable, "-m", "triptych", "export", "publish", "--runtime-dir", str(stack.runtime_directory)]
    nowhere = [*command, "--reload", "--triton", "127.0.0.1:9"]
    done = subprocess.run(nowhere, check=False, capture_output=True, text=True, cwd=PROJECT, timeout=60)
    assert done.returncode == 2
    assert "Triton at 127.0.0.1:9 cannot be asked" in done.stderr.replace("\n", " ")
