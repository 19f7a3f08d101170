"""Scene -> picture, with every ground truth that later work needs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from wardrobe.world.attributes import Figure, Part, TopKind
from wardrobe.world.backgrounds import draw_background
from wardrobe.world.body import BUILDS, Arm, arms, draw_arms, draw_chest, draw_legs, draw_shoes, shows_legs
from wardrobe.world.canvas import SIZE, SUPERSAMPLING, WORK, Frame, Pixels, compose
from wardrobe.world.garments import draw_bottoms, draw_top
from wardrobe.world.head import draw_face, draw_hair, draw_hair_back
from wardrobe.world.scene import Garment, Scene, Top

PARTS = tuple(Part)
FLAT_LAY_BACKGROUND = (244, 243, 240)
FLAT_LAY_ZOOM = 1.5


@dataclass(frozen=True, slots=True)
class Layer:
    """One RGBA sheet, uint8 [128, 128, 4], straight alpha; a part may own several."""

    name: str
    part: Part
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Render:
    """A picture and where everything in it is.

    image: RGB uint8 [128, 128, 3]; labels: uint8 [128, 128], an index into `PARTS`;
    layers: bottom to top, the first one opaque; `canvas.compose` of them is exactly `image`.
    """

    image: Pixels
    labels: Pixels
    layers: tuple[Layer, ...]

    def mask(self, part: Part) -> npt.NDArray[np.bool_]:
        """The pixels [128, 128] that show `part`; the masks of all parts partition the picture."""
        mask: npt.NDArray[np.bool_] = self.labels == PARTS.index(part)
        return mask


def render(scene: Scene) -> Render:
    """Draw a scene; the same scene always gives the same bytes."""
    layers = tuple(_draw_layers(scene))
    image = compose([layer.pixels for layer in layers])
    return Render(image, _labels(layers), layers)


def flat_lay(garment: Garment) -> Pixels:
    """The garment alone, laid out on a light ground; RGB uint8 [128, 128, 3]."""
    ground = np.full((SIZE, SIZE, 4), (*FLAT_LAY_BACKGROUND, 255), np.uint8)
    return compose([ground, flat_lay_sheet(garment)])


def flat_lay_sheet(garment: Garment) -> Pixels:
    """The garment of a flat-lay without its ground; RGBA uint8 [128, 128, 4], straight alpha."""
    build = BUILDS[Figure.WOMAN]
    if isinstance(garment, Top):
        height = 77.0 if garment.kind is TopKind.DRESS else 68.0
        zoom = FLAT_LAY_ZOOM if garment.kind is not TopKind.DRESS else 1.4
        frame = Frame(zoom, 0.0, 64 - height, (64.0, height))
        x = 64 + build.shoulder - 2.0
        sleeve = Arm((x, 54.5), (x + 9.5, 66.0), (x + 14.0, 81.0))
        return draw_top(garment, build, (sleeve, sleeve.flipped()), frame, zoom)
    zoom = FLAT_LAY_ZOOM
    middle = {"trousers": 96.0, "shorts": 87.5, "skirt": 90.5}[garment.kind]
    return draw_bottoms(garment, build, Frame(zoom, 0.0, 64 - middle, (64.0, middle)), zoom)


def _draw_layers(scene: Scene) -> list[Layer]:
    staging = scene.staging
    frame = Frame(staging.scale, staging.dx, staging.dy)
    build = BUILDS[scene.person.figure]
    worn_by = arms(scene.person.pose, build)
    layers = [
        Layer("background", Part.BACKGROUND, draw_background(scene.background, staging.backdrop)),
        Layer("shadow", Part.BACKGROUND, _shadow(frame)),
    ]
    hair_back = draw_hair_back(scene, frame)
    if hair_back is not None:
        layers.append(Layer("hair back", Part.HAIR, hair_back))
    if shows_legs(scene):
        layers.append(Layer("legs", Part.LEGS, draw_legs(scene, frame)))
    layers.append(Layer("shoes", Part.SHOES, draw_shoes(scene, frame)))
    layers.append(Layer("arms", Part.ARMS, draw_arms(scene, frame)))
    layers.append(Layer("chest", Part.FACE, draw_chest(scene, frame)))
    if scene.bottoms is not None:
        layers.append(Layer("bottoms", Part.BOTTOMS, draw_bottoms(scene.bottoms, build, frame)))
    top_part = Part.DRESS if scene.top.kind is TopKind.DRESS else Part.TOP
    layers.append(Layer(top_part.value, top_part, draw_top(scene.top, build, worn_by, frame)))
    layers.append(Layer("face", Part.FACE, draw_face(scene, frame)))
    layers.append(Layer("hair", Part.HAIR, draw_hair(scene, frame)))
    return [_mirror(layer) for layer in layers] if staging.mirror else layers


def _mirror(layer: Layer) -> Layer:
    return Layer(layer.name, layer.part, np.ascontiguousarray(layer.pixels[:, ::-1]))


def _shadow(frame: Frame) -> Pixels:
    """The soft ellipse on the ground under the feet."""
    alpha = Image.new("L", (WORK, WORK), 0)
    pen = ImageDraw.Draw(alpha)
    x, y = frame.at((64.0, 120.5))
    for share, opacity in ((1.0, 26), (0.8, 52), (0.6, 76)):
        a, b = frame.length(27 * share), frame.length(4.6 * share)
        pen.ellipse((x - a, y - b, x + a, y + b), fill=opacity)
    pixels = np.empty((SIZE, SIZE, 4), np.uint8)
    pixels[..., :3] = (40, 34, 58)
    pixels[..., 3] = np.asarray(alpha.reduce(SUPERSAMPLING))
    return pixels


def _labels(layers: tuple[Layer, ...]) -> Pixels:
    """Each pixel belongs to the part that contributes most to it; ties go to the lower one."""
    shares = np.zeros((len(PARTS), SIZE, SIZE), np.float32)
    for layer in layers:
        alpha = layer.pixels[..., 3].astype(np.float32) / 255
        shares *= 1 - alpha
        shares[PARTS.index(layer.part)] += alpha
    labels: Pixels = shares.argmax(axis=0).astype(np.uint8)
    return labels
