"""A user of any of the servers, over the OpenAI-like route they share."""

import base64
import binascii
import struct
from types import TracebackType

import httpx

from benchmarks.load import DrawError
from benchmarks.workload import PictureRequest

ROUTE = "/v1/images/generations"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIMEOUT_S = 120.0


class HttpDrawer:
    """Keeps one connection per user open; every answer is checked to be a PNG of the size asked for."""

    def __init__(self, base_url: str, model: str, users: int) -> None:
        limits = httpx.Limits(max_connections=users, max_keepalive_connections=users)
        self._client = httpx.AsyncClient(base_url=base_url, limits=limits, timeout=_TIMEOUT_S, trust_env=False)
        self._model = model

    async def __aenter__(self) -> "HttpDrawer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def draw(self, request: PictureRequest) -> None:
        """One POST, one picture. Raises DrawError."""
        try:
            answer = await self._client.post(ROUTE, json=body(request, self._model))
        except httpx.HTTPError as error:
            raise DrawError(f"{type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise DrawError(f"HTTP {answer.status_code}: {answer.text[:300]}")
        try:
            png = base64.b64decode(answer.json()["data"][0]["b64_json"])
        except (ValueError, KeyError, IndexError, TypeError, binascii.Error) as error:
            raise DrawError(f"no picture in the answer: {answer.text[:300]}") from error
        check_png(png, request.width, request.height)


def body(request: PictureRequest, model: str) -> dict[str, str | int | float]:
    """The JSON that all servers understand."""
    return {
        "model": model,
        "prompt": request.prompt,
        "n": 1,
        "size": f"{request.width}x{request.height}",
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "scheduler": request.scheduler,
        "seed": request.seed,
        "response_format": "b64_json",
    }


def check_png(png: bytes, width: int, height: int) -> None:
    """Raises DrawError unless this is a PNG of that size, by its header."""
    if not png.startswith(_PNG_SIGNATURE) or len(png) < 24:
        raise DrawError("the answer is not a PNG")
    found = struct.unpack(">II", png[16:24])
    if found != (width, height):
        raise DrawError(f"the picture is {found[0]}x{found[1]}, asked for was {width}x{height}")
