"""Files of layers, opened by readers that are not ours."""

import io
import json
import zipfile
from collections.abc import Sequence

import numpy as np
import pptx
import pytest
from PIL import Image, ImageSequence
from psd_tools import PSDImage
from psd_tools.constants import BlendMode as PsdBlendMode
from pyora import Project

from gateway.domain.errors import InvalidRequest
from gateway.domain.layers import Layer, LayersFormat, Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.compose import compose, composite_of
from gateway.pipelines.layers.files import file_type, pack_layers, pack_stack
from gateway.pipelines.layers.placed import Placed

SIZE = PictureSize(60, 40)
FILES = [file_format for file_format in LayersFormat if file_format is not LayersFormat.LIST]


def sheet(rng: np.random.Generator, box: tuple[int, int, int, int] | None) -> Sheet:
    made = np.zeros((SIZE.height, SIZE.width, 4), np.uint8)
    if box is not None:
        left, top, right, bottom = box
        made[top:bottom, left:right] = rng.integers(1, 256, (bottom - top, right - left, 4))
    return made


@pytest.fixture(scope="module")
def layers() -> list[Layer]:
    rng = np.random.default_rng(5)
    ground = sheet(rng, (0, 0, 60, 40))
    ground[..., 3] = 255
    return [
        Layer(0, "background", ground),
        Layer(1, "Person ä/1", sheet(rng, (10, 5, 40, 39))),
        Layer(2, "nothing", sheet(rng, None)),
        Layer(3, "top", sheet(rng, (15, 12, 33, 25))),
    ]


@pytest.fixture(scope="module")
def composite(layers: list[Layer]) -> Sheet:
    return composite_of(layers)


EDITED = [
    Placed("ground", np.full((40, 60, 4), 200, np.uint8)),
    Placed("spot", np.full((10, 10, 4), (250, 20, 90, 255), np.uint8), x=50, y=-4, opacity=0.4),
    Placed("gone", np.full((10, 10, 4), 255, np.uint8), visible=False),
]


def opened_zip(data: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(data))


def pixels_of(image: Image.Image) -> Sheet:
    return np.array(image.convert("RGBA"))


def same(first: Sheet, second: Sheet) -> bool:
    """Colours of what is fully transparent are nobody's."""
    shown = first[..., 3:] > 0
    return bool(np.array_equal(first * shown, second * shown))


@pytest.mark.parametrize("file_format", FILES)
def test_the_same_layers_are_the_same_bytes(file_format: LayersFormat, layers: list[Layer], composite: Sheet) -> None:
    assert pack_layers(layers, composite, file_format) == pack_layers(layers, composite, file_format)
    assert "/" in file_type(file_format).media_type


def test_a_zip_holds_pictures_and_their_order(layers: list[Layer], composite: Sheet) -> None:
    archive = opened_zip(pack_layers(layers, composite, LayersFormat.ZIP))
    names = ["00-background.png", "01-person-1.png", "02-nothing.png", "03-top.png"]
    assert archive.namelist() == [*names, "composite.png", "layers.json"]
    for name, layer in zip(names, layers, strict=True):
        assert np.array_equal(pixels_of(Image.open(archive.open(name))), layer.pixels)
    assert np.array_equal(pixels_of(Image.open(archive.open("composite.png"))), composite)
    described = json.loads(archive.read("layers.json"))
    assert (described["width"], described["height"]) == (60, 40)
    assert [each["file"] for each in described["layers"]] == names
    assert described["layers"][1]["name"] == "Person ä/1"


def test_a_psd_opens_in_psd_tools_and_pillow(layers: list[Layer], composite: Sheet) -> None:
    data = pack_layers(layers, composite, LayersFormat.PSD)
    psd = PSDImage.open(io.BytesIO(data))
    assert psd.size == (60, 40)
    assert [layer.name for layer in psd] == [layer.name for layer in layers]
    assert [layer.bbox for layer in psd] == [(0, 0, 60, 40), (10, 5, 40, 39), (0, 0, 1, 1), (15, 12, 33, 25)]
    for found, layer in zip(psd, layers, strict=True):
        left, top, right, bottom = found.bbox
        image = found.topil()
        assert image is not None
        assert same(layer.pixels[top:bottom, left:right], pixels_of(image))
        assert found.visible and found.opacity == 255 and found.blend_mode is PsdBlendMode.NORMAL
    merged = psd.topil()
    assert merged is not None
    assert np.array_equal(pixels_of(merged), composite)
    with Image.open(io.BytesIO(data)) as seen:
        assert seen.format == "PSD"
        assert np.array_equal(pixels_of(seen), composite)


def test_a_psd_keeps_what_was_edited() -> None:
    composite = compose(EDITED, SIZE)
    stack = [*EDITED, Placed("shade", np.full((5, 5, 4), 90, np.uint8), blend=BlendMode.SOFT_LIGHT)]
    data = pack_stack(stack, composite, LayersFormat.PSD)
    psd = PSDImage.open(io.BytesIO(data))
    assert [(layer.opacity, layer.visible) for layer in psd] == [(255, True), (102, True), (255, False), (255, True)]
    assert psd[1].offset == (50, -4)
    assert psd[3].blend_mode is PsdBlendMode.SOFT_LIGHT
    merged = psd.topil()
    assert merged is not None and merged.mode == "RGBA"
    # The whole picture lies on white in the file, and the reader takes that out again.
    assert np.abs(np.array(merged).astype(int) - composite).max() <= 1
    with Image.open(io.BytesIO(data)) as seen:
        white = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), Image.fromarray(composite))
        assert np.abs(np.array(seen.convert("RGB")).astype(int) - np.array(white.convert("RGB"))).max() <= 1


@pytest.mark.parametrize("name", ["人物 👗", "", "x" * 300, "<a & 'b'>"])
def test_names_of_all_kinds(name: str) -> None:
    stack = [Placed(name, np.full((4, 4, 4), 90, np.uint8))]
    files = {file_format: pack_stack(stack, stack[0].pixels, file_format) for file_format in FILES}
    assert PSDImage.open(io.BytesIO(files[LayersFormat.PSD]))[0].name == name[:255]
    assert Project.load(io.BytesIO(files[LayersFormat.ORA])).children[0].name == name
    assert slide_pictures(files[LayersFormat.PPTX])[0].name == name
    assert json.loads(opened_zip(files[LayersFormat.ZIP]).read("layers.json"))["layers"][0]["name"] == name


def test_every_blend_mode_has_its_name_in_a_psd() -> None:
    stack = [Placed(mode.value, np.full((4, 4, 4), 90, np.uint8), blend=mode) for mode in BlendMode]
    composite = compose(stack, PictureSize(4, 4))
    psd = PSDImage.open(io.BytesIO(pack_stack(stack, composite, LayersFormat.PSD)))
    assert [layer.blend_mode.name.lower().replace("_", "-") for layer in psd] == [mode.value for mode in BlendMode]


# Exclusion is none of OpenRaster's, and for soft light the reader takes Pegtop's formula, not W3C's.
@pytest.mark.parametrize("mode", sorted(set(BlendMode) - {BlendMode.EXCLUSION, BlendMode.SOFT_LIGHT}))
def test_pyora_renders_what_we_compose(mode: BlendMode) -> None:
    rng = np.random.default_rng(4)
    below, above = (rng.integers(1, 255, (12, 12, 4), dtype=np.uint8) for _ in range(2))
    below[:6, :, 3] = above[:, :6, 3] = 255
    stack = [Placed("below", below), Placed("above", above, x=2, y=1, opacity=0.75, blend=mode)]
    composite = compose(stack, PictureSize(12, 12))
    project = Project.load(io.BytesIO(pack_stack(stack, composite, LayersFormat.ORA)))
    rendered = pixels_of(project.get_image_data())
    # It rounds colours as they are seen, and so does whoever looks: what is faint may differ by more.
    apart = np.abs(rendered[..., :3].astype(int) - composite[..., :3]) * (composite[..., 3:] / 255)
    assert apart.max() <= 2 and np.abs(rendered[..., 3].astype(int) - composite[..., 3]).max() <= 1


def test_openraster_has_no_exclusion() -> None:
    stack = [Placed("a", EDITED[1].pixels, blend=BlendMode.EXCLUSION)]
    with pytest.raises(InvalidRequest, match="exclusion"):
        pack_stack(stack, compose(stack, SIZE), LayersFormat.ORA)


def test_an_ora_opens_in_pyora(layers: list[Layer], composite: Sheet) -> None:
    data = pack_layers(layers, composite, LayersFormat.ORA)
    first = opened_zip(data).infolist()[0]
    assert (first.filename, first.compress_type, first.extra) == ("mimetype", zipfile.ZIP_STORED, b"")
    assert data[30:54] == b"mimetypeimage/openraster"
    project = Project.load(io.BytesIO(data))
    assert project.dimensions == (60, 40)
    found = list(project.children)
    assert [layer.name for layer in found] == [layer.name for layer in reversed(layers)]
    assert found[0].offsets == (15, 12)
    for each, layer in zip(reversed(found), layers, strict=True):
        canvas = np.zeros_like(layer.pixels)
        left, top = each.offsets
        own = pixels_of(each.get_image_data(raw=True))
        canvas[top : top + own.shape[0], left : left + own.shape[1]] = own
        assert same(layer.pixels, canvas)
    assert np.array_equal(pixels_of(project.get_image_data(use_original=True)), composite)
    # The reader's own rendering is the whole picture, too.
    rendered = pixels_of(project.get_image_data()).astype(int)
    assert np.abs(rendered - composite).max() <= 2
    assert max(Project.extract_thumbnail(io.BytesIO(data), pil=True).size) <= 256


def test_an_ora_keeps_what_was_edited() -> None:
    project = Project.load(io.BytesIO(pack_stack(EDITED, compose(EDITED, SIZE), LayersFormat.ORA)))
    gone, spot, _ = project.children
    assert spot.opacity == pytest.approx(0.4) and spot.offsets == (50, -4) and spot.visible
    assert not gone.visible


def slide_pictures(data: bytes) -> Sequence[pptx.shapes.picture.Picture]:
    presentation = pptx.Presentation(io.BytesIO(data))
    assert len(presentation.slides) == 1
    return list(presentation.slides[0].shapes)


def test_a_pptx_opens_in_python_pptx(layers: list[Layer], composite: Sheet) -> None:
    data = pack_layers(layers, composite, LayersFormat.PPTX)
    presentation = pptx.Presentation(io.BytesIO(data))
    # Forty pixels make no inch, the least that a slide is high.
    pixel = 914_400 / 40
    assert (presentation.slide_width, presentation.slide_height) == (60 * pixel, 40 * pixel)
    shapes = slide_pictures(data)
    assert [shape.name for shape in shapes] == [layer.name for layer in layers]
    boxes = [(shape.left, shape.top, shape.width, shape.height) for shape in shapes]
    assert boxes[0] == (0, 0, 60 * pixel, 40 * pixel)
    assert boxes[3] == (15 * pixel, 12 * pixel, 18 * pixel, 13 * pixel)
    top = pixels_of(Image.open(io.BytesIO(shapes[3].image.blob)))
    assert same(layers[3].pixels[12:25, 15:33], top)


def test_a_pptx_keeps_what_was_edited_and_refuses_what_slides_cannot_show() -> None:
    _, spot, gone = slide_pictures(pack_stack(EDITED, compose(EDITED, SIZE), LayersFormat.PPTX))
    assert 'hidden="1"' in gone._element.xml and 'amt="40000"' in spot._element.xml
    shade = Placed("shade", EDITED[1].pixels, blend=BlendMode.MULTIPLY)
    with pytest.raises(InvalidRequest, match="multiply"):
        pack_stack([shade], compose([shade], SIZE), LayersFormat.PPTX)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 1000), (9000, 20)])
def test_a_slide_has_a_size_that_programs_open(width: int, height: int) -> None:
    pixels = np.full((height, width, 4), 255, np.uint8)
    presentation = pptx.Presentation(io.BytesIO(pack_stack([Placed("a", pixels)], pixels, LayersFormat.PPTX)))
    for side in (presentation.slide_width, presentation.slide_height):
        assert side is not None and 914_400 <= side <= 51_206_400


def test_an_animation_builds_the_picture_up(layers: list[Layer], composite: Sheet) -> None:
    with Image.open(io.BytesIO(pack_layers(layers, composite, LayersFormat.WEBP_ANIMATION))) as animation:
        assert animation.info["loop"] == 0
        frames = [pixels_of(frame) for frame in ImageSequence.Iterator(animation)]
    assert np.array_equal(frames[0], layers[0].pixels)
    assert np.array_equal(frames[1], composite_of(layers[:2]))
    assert np.array_equal(frames[-1], composite)


def test_an_animation_leaves_out_what_is_hidden_and_has_a_largest_size() -> None:
    with Image.open(io.BytesIO(pack_stack(EDITED, compose(EDITED, SIZE), LayersFormat.WEBP_ANIMATION))) as animation:
        assert len(list(ImageSequence.Iterator(animation))) == 2
    pixels = np.zeros((1, 16_384, 4), np.uint8)
    with pytest.raises(InvalidRequest, match="16384x1 is too large"):
        pack_stack([Placed("a", pixels)], pixels, LayersFormat.WEBP_ANIMATION)


def test_a_list_is_no_file(layers: list[Layer], composite: Sheet) -> None:
    with pytest.raises(ValueError, match="no file"):
        pack_layers(layers, composite, LayersFormat.LIST)
