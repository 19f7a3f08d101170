"""`POST /v1/images/generations`."""

import base64
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.api.disconnect import run_while_connected
from gateway.api.error_docs import errors
from gateway.api.event_schemas import EVENT_STREAM
from gateway.api.files import picture_url
from gateway.api.generation_command import compose_command, effective_quality
from gateway.api.generation_request import ImageGenerationRequest
from gateway.api.generation_response import ImageData, ImagesResponse, whole_usage
from gateway.api.generation_stream import GenerationStream, StreamFacts
from gateway.api.services import Services, services_of
from gateway.domain.pictures import GenerateCommand, Generated, Picture

router = APIRouter()

_EVENTS = (
    "With `stream`: events `image_generation.partial_image` and `image_generation.completed`, "
    "one JSON object each; a failure under way is an `error` event."
)


@router.post(
    "/v1/images/generations",
    response_model=ImagesResponse,
    summary="Pictures from a prompt",
    tags=["images"],
    responses={
        200: {
            "description": f"The pictures. {_EVENTS}",
            "content": {"text/event-stream": EVENT_STREAM},
        },
        **errors(400, 404, 413, 415, 429, 500, 503, 504),
    },
)
async def generate_images(
    body: ImageGenerationRequest, request: Request, services: Annotated[Services, Depends(services_of)]
) -> Response:
    """OpenAI's fields and ours; see the schema. Hanging up cancels the work within one denoising step."""
    model = services.models.find(body.model)
    command = compose_command(body, model.manifest, services.defaults)

    async def link(picture: Picture) -> str:
        name = await services.pictures.put(picture.data, command.encoding.format)
        return picture_url(services, request, name)

    if body.stream:
        facts = StreamFacts(
            size=_size(command),
            quality=effective_quality(body),
            output_format=command.encoding.format.value,
            safety_identifier=_safety_identifier(body),
            link=link if body.response_format == "url" else None,
        )
        return GenerationStream(services.pipeline, command, facts)

    generated = await run_while_connected(request.receive, services.pipeline.run(command, None))
    data = [
        _inline(picture)
        if body.response_format == "b64_json"
        else ImageData(url=await link(picture), seed=picture.seed)
        for picture in generated.pictures
    ]
    return _answer(body, command, generated, data)


def _answer(
    body: ImageGenerationRequest, command: GenerateCommand, generated: Generated, data: list[ImageData]
) -> Response:
    answer = ImagesResponse(
        created=int(time.time()),
        data=data,
        size=_size(command),
        quality=effective_quality(body),
        output_format=command.encoding.format.value,
        usage=whole_usage(generated.usage),
        safety_identifier=_safety_identifier(body),
        warnings=list(generated.warnings) or None,
    )
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


def _inline(picture: Picture) -> ImageData:
    return ImageData(b64_json=base64.b64encode(picture.data).decode(), seed=picture.seed)


def _size(command: GenerateCommand) -> str:
    return f"{command.width}x{command.height}"


def _safety_identifier(body: ImageGenerationRequest) -> str | None:
    return body.safety_identifier or body.user or None
