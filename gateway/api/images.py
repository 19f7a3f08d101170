"""`POST /v1/images/generations`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.api.answers import answer_pictures, picture_responses
from gateway.api.generation_command import compose_command, streamed_wish
from gateway.api.generation_request import ImageGenerationRequest
from gateway.api.generation_response import ImagesResponse
from gateway.api.generation_stream import GENERATION_EVENTS
from gateway.api.services import Services, services_of

router = APIRouter()


@router.post(
    "/v1/images/generations",
    response_model=ImagesResponse,
    summary="Pictures from a prompt",
    tags=["images"],
    responses=picture_responses(GENERATION_EVENTS),
)
async def generate_images(
    body: ImageGenerationRequest, request: Request, services: Annotated[Services, Depends(services_of)]
) -> Response:
    """OpenAI's fields and ours; see the schema. Hanging up cancels the work within one denoising step."""
    model = services.models.find(body.model)
    command = compose_command(body, streamed_wish(body, body.prompt), model.manifest, services.defaults)
    return await answer_pictures(request, services, body, command, GENERATION_EVENTS if body.stream else None)
