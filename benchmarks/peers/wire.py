"""The part of OpenAI's image route that the peers speak."""

import base64
import io

from PIL.Image import Image
from pydantic import BaseModel, Field

from benchmarks.workload import PictureRequest

_PNG_LEVEL = 1
"""The level Triptych uses: the comparison is not about zlib."""


class GenerationBody(BaseModel):
    """POST /v1/images/generations. Fields not named here (`model`, `n`, `response_format`) are accepted and fixed."""

    prompt: str
    size: str = Field(pattern=r"^\d+x\d+$")
    num_inference_steps: int = Field(ge=1, le=150)
    guidance_scale: float
    scheduler: str
    seed: int = 0

    def request(self) -> PictureRequest:
        """As the benchmark's own type."""
        width, height = (int(side) for side in self.size.split("x"))
        return PictureRequest(
            self.prompt, self.seed, self.num_inference_steps, self.guidance_scale, self.scheduler, width, height
        )


class GeneratedImage(BaseModel):
    b64_json: str


class GenerationAnswer(BaseModel):
    """What OpenAI's client reads."""

    created: int
    data: list[GeneratedImage]


def encode(image: Image) -> str:
    """PNG, as base64 text."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_PNG_LEVEL)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
