"""Pictures as the demo's requests and answers carry them."""

import base64
import io

from PIL import Image


def data_uri(picture: Image.Image) -> str:
    """A PNG file as a data URI."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def decoded(encoded: str) -> Image.Image:
    """A picture's file in base64."""
    return Image.open(io.BytesIO(base64.b64decode(encoded)))
