"""`GET /files/{file}`: pictures, and files of layers, behind signed, expiring links; no key is needed, as clients send
none.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from gateway.api.error_docs import errors
from gateway.api.services import Services, services_of
from gateway.domain.errors import SignatureRefused
from gateway.domain.files import FileType
from gateway.store.pictures import file_type_of
from gateway.store.sharing import FILES_PATH
from gateway.store.signing import SignedName

router = APIRouter()


@router.get(
    FILES_PATH + "/{file}",
    summary="A picture, or a file of layers, by its signed link",
    tags=["images"],
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": {"image/*": {}, "application/*": {}}},
        **errors(403, 404, 410, 503),
    },
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
    data, kind = await services.pictures.get(file), file_type_of(file)
    headers = {
        "cache-control": f"private, max-age={seconds_left}, immutable",
        "x-content-type-options": "nosniff",
        "content-disposition": f'{"inline" if kind.shown else "attachment"}; filename="{file}"',
    }
    return Response(data, media_type=kind.media_type, headers=headers)


async def share_file(services: Services, request: Request, data: bytes, file_type: FileType) -> str:
    """Keep a file for `storage.url_ttl_seconds`; an absolute link to it. Raises StoreUnavailable."""
    return await services.sharing.share(data, file_type, base_url(services, request), services.url_ttl_seconds)


def base_url(services: Services, request: Request) -> str:
    """Of every link that is handed out, without a slash at its end."""
    return (services.public_url or str(request.base_url)).rstrip("/")
