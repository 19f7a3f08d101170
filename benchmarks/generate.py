"""Pictures for captions through the official OpenAI client, a few at once, as a user would."""

import asyncio
import base64
import binascii
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import openai
from PIL import Image

Pixels = npt.NDArray[np.uint8]
"""[height, width, 3], sRGB."""

_TIMEOUT_S = 300.0


class NoPictureError(Exception):
    """The server answered without a picture."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How every picture is asked for. None leaves the choice to the model's own recommendation."""

    model: str
    at_once: int = 8
    steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    first_seed: int = 0

    def extras(self, index: int) -> dict[str, int | float | str]:
        """The fields beyond OpenAI's own; caption `index` gets its own seed, the same in every run."""
        wanted = {
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "scheduler": self.scheduler,
            "seed": self.first_seed + index,
        }
        return {name: value for name, value in wanted.items() if value is not None}


async def generate_all(
    base_url: str, captions: Sequence[str], asking: Asking, done: Callable[[], None]
) -> tuple[Pixels, ...]:
    """One picture a caption, in order; `done` is called as each arrives.

    Raises openai.OpenAIError and NoPictureError: a figure over fewer pictures would not be the figure promised.
    """
    permits = asyncio.Semaphore(asking.at_once)
    async with openai.AsyncOpenAI(
        base_url=f"{base_url}/v1", api_key="unused", timeout=_TIMEOUT_S, max_retries=5
    ) as client:

        async def one(index: int, caption: str) -> Pixels:
            async with permits:
                answer = await client.images.generate(
                    prompt=caption,
                    model=asking.model,
                    n=1,
                    response_format="b64_json",
                    extra_body=asking.extras(index),
                )
            done()
            return _pixels(answer)

        return tuple(await asyncio.gather(*(one(*pair) for pair in enumerate(captions))))


def _pixels(answer: openai.types.ImagesResponse) -> Pixels:
    encoded = answer.data[0].b64_json if answer.data else None
    if encoded is None:
        raise NoPictureError("the answer holds no picture")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(encoded)))
        return np.asarray(image.convert("RGB"))
    except (binascii.Error, OSError) as error:
        raise NoPictureError(f"the answer's picture cannot be read: {error}") from error
