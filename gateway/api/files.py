"""`GET /images/{file}`: pictures behind signed, expiring links; no key is needed, as clients send none."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from gateway.api.error_docs import errors
from gateway.api.services import Services, services_of
from gateway.domain.errors import SignatureRefused
from gateway.store.pictures import picture_format
from gateway.store.signing import SignedName

router = APIRouter()


@router.get(
    "/images/{file}",
    summary="A picture by its signed link",
    tags=["images"],
    response_class=Response,
    responses={200: {"description": "The file.", "content": {"image/*": {}}}, **errors(403, 404, 410)},
)
async def get_picture(
    file: str,
    services: Annotated[Services, Depends(services_of)],
    expires: Annotated[str, Query(description="Unix time in seconds.")] = "",
    signature: Annotated[str, Query(description="Made by the server.")] = "",
) -> Response:
    """403 for a wrong signature, then 410 for an expired link, then 404: only the link's owner learns what exists."""
    if not (expires.isascii() and expires.isdecimal() and len(expires) < 20):
        raise SignatureRefused("this image URL has no valid signature")
    seconds_left = services.signer.seconds_left(SignedName(file, int(expires), signature))
    data = await services.pictures.get(file)
    headers = {
        "cache-control": f"private, max-age={seconds_left}, immutable",
        "x-content-type-options": "nosniff",
        "content-disposition": f'inline; filename="{file}"',
    }
    return Response(data, media_type=picture_format(file).media_type, headers=headers)


def picture_url(services: Services, request: Request, name: str) -> str:
    """An absolute link to a stored picture."""
    base = (services.public_url or str(request.base_url)).rstrip("/")
    link = services.signer.sign(name)
    return f"{base}/images/{link.name}?expires={link.expires}&signature={link.signature}"
