"""The page's sign. Browsers ask the server's root for it: what Gradio offers to put into the page comes too late."""

from starlette.responses import Response

PATH = "/favicon.ico"
_TRIPTYCH = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="#4f46e5">'
    '<path d="M0 3h4v10H0zM5 1h6v14H5zM12 3h4v10h-4z"/></svg>'
)


async def icon() -> Response:
    """As SVG, whatever the name says."""
    return Response(_TRIPTYCH, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})
