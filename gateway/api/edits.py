"""`POST /v1/images/edits` and `POST /v1/images/variations`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.api.answers import answer_pictures, picture_responses
from gateway.api.dressing import dressing_of
from gateway.api.edit_request import VARIATION_STRENGTH, ImageEditRequest, ImageVariationRequest
from gateway.api.generation_command import Wish, compose_command, streamed_wish
from gateway.api.generation_response import ImagesResponse
from gateway.api.generation_stream import EDIT_EVENTS
from gateway.api.services import Services, services_of
from gateway.api.upload import Upload, uploaded
from gateway.api.upload_schema import ONE_IMAGE, SEVERAL_IMAGES, form_body
from gateway.domain.edits import Edit
from gateway.domain.errors import InvalidRequest

router = APIRouter()


@router.post(
    "/v1/images/edits",
    response_model=ImagesResponse,
    summary="Pictures from pictures and a prompt",
    tags=["images"],
    responses=picture_responses(EDIT_EVENTS),
    openapi_extra=form_body(ImageEditRequest, SEVERAL_IMAGES),
)
async def edit_images(
    request: Request,
    upload: Annotated[Upload, Depends(uploaded)],
    services: Annotated[Services, Depends(services_of)],
) -> Response:
    """OpenAI's fields and ours. With a mask every pixel outside of it stays exactly as it was.

    With a try-on model the first picture is a person and the others are one garment, or a top and bottoms; `quality`
    high means premium. The prompt says nothing to such models.
    """
    body = upload.read(ImageEditRequest)
    model = services.models.find(body.model)
    edit = Edit(
        upload.images(),
        upload.mask(),
        body.strength,
        faithful=body.input_fidelity == "high",
        dressing=None if model.manifest.try_on is None else dressing_of(body),
    )
    command = compose_command(body, streamed_wish(body, body.prompt, edit), model.manifest, services.defaults)
    return await answer_pictures(request, services, body, command, EDIT_EVENTS if body.stream else None)


@router.post(
    "/v1/images/variations",
    response_model=ImagesResponse,
    summary="Pictures like a picture",
    tags=["images"],
    responses=picture_responses(None),
    openapi_extra=form_body(ImageVariationRequest, ONE_IMAGE),
)
async def vary_image(
    request: Request,
    upload: Annotated[Upload, Depends(uploaded)],
    services: Annotated[Services, Depends(services_of)],
) -> Response:
    """The picture drawn anew in part, with no prompt; see `strength`."""
    body = upload.read(ImageVariationRequest)
    model = services.models.find(body.model)
    if upload.mask() is not None:
        raise InvalidRequest("'mask' belongs to /v1/images/edits", code="unknown_parameter", param="mask")
    edit = Edit((upload.image(),), None, body.strength or VARIATION_STRENGTH, as_references=False)
    command = compose_command(body, Wish(prompt="", edit=edit), model.manifest, services.defaults)
    return await answer_pictures(request, services, body, command, None)
