"""The clothes, worn or laid flat. Both are drawn by the same functions, so a flat-lay is the same garment."""

from collections.abc import Sequence

from wardrobe.world.attributes import BottomsKind, TopKind
from wardrobe.world.body import ANKLE_Y, HIP_Y, SHOULDER_Y, WAIST_Y, Arm, Build
from wardrobe.world.canvas import Frame, Pixels, Point, Sketch, mirrored
from wardrobe.world.palette import GARMENT, outline, shade
from wardrobe.world.scene import Bottoms, Top
from wardrobe.world.textures import cloth

SLEEVES = {TopKind.T_SHIRT: 0.36, TopKind.SWEATER: 0.8, TopKind.DRESS: 0.26}
SLEEVE_WIDTH = {TopKind.T_SHIRT: 11.2, TopKind.SWEATER: 10.6, TopKind.DRESS: 10.8}


def _torso(kind: TopKind, build: Build) -> list[Point]:
    """The outline of the garment's body without sleeves."""
    hem = HIP_Y + 1.0
    if kind is TopKind.TANK_TOP:
        half = [
            (64 + 5.6, 60.0), (64 + 7.2, SHOULDER_Y - 2.2), (64 + 12.2, SHOULDER_Y - 0.6),
            (64 + build.shoulder - 4.0, 59.0),
            (64 + build.waist + 1.5, 65.0), (64 + build.waist + 1.0, WAIST_Y), (64 + build.hip + 0.8, hem),
        ]  # fmt: skip
        return mirrored(half)
    if kind is TopKind.DRESS:
        half = [
            (64 + 6.5, SHOULDER_Y - 3.0), (64 + build.shoulder, SHOULDER_Y), (64 + build.shoulder - 1.0, 60.0),
            (64 + build.waist, WAIST_Y - 1), (64 + build.waist + 1, WAIST_Y + 2), (64 + 22.0, 90.0), (64 + 27.0, 104.0),
        ]  # fmt: skip
        return mirrored(half)
    loose = 2.0 if kind is TopKind.SWEATER else 0.8
    half = [
        (64 + 6.0, SHOULDER_Y - 3.4), (64 + build.shoulder, SHOULDER_Y), (64 + build.shoulder, 60.0),
        (64 + build.waist + loose, WAIST_Y), (64 + build.hip + loose, hem - 2.0), (64 + build.hip + loose - 0.5, hem),
    ]  # fmt: skip
    return mirrored(half)


def draw_top(top: Top, build: Build, worn_by: Sequence[Arm], frame: Frame, zoom: float = 1.0) -> Pixels:
    """A top or a dress on the given arms; RGBA uint8 [128, 128, 4]."""
    base = GARMENT[top.colour]
    line, dark = outline(base), shade(base)
    fabric = cloth(top.colour, top.pattern, frame, (64.0, SHOULDER_Y + 3.0), zoom)
    sketch = Sketch(frame, line)
    torso = _torso(top.kind, build)
    if top.kind in SLEEVES:
        for arm in worn_by:
            sketch.limb(arm.upto(SLEEVES[top.kind]), SLEEVE_WIDTH[top.kind])
    sketch.polygon(torso)
    sketch.fill(fabric)
    sketch.tint([(71, 50), (96, 50), (96, 110), (70, 110), (73, 70)], dark, 0.32)
    if top.kind in SLEEVES:
        seam = 64 + build.shoulder - 1.6
        for x in (seam, 128 - seam):
            sketch.stroke([(x, SHOULDER_Y + 6.5), (x, 64.0)], line, 0.9)
    if top.kind is TopKind.SWEATER:
        _knit_ends(sketch, worn_by, build, top)
        sketch.arc((64, SHOULDER_Y - 3.2), (6.4, 4.2), (0, 180), dark, 2.2)
        sketch.arc((64, SHOULDER_Y - 3.2), (7.4, 5.2), (0, 180), line, 0.9)
    elif top.kind is TopKind.DRESS:
        belt = WAIST_Y + 0.3
        sketch.stroke([(64 - build.waist - 0.6, belt), (64 + build.waist + 0.6, belt)], line, 2.6)
        for x, foot in ((57.0, 52.0), (71.0, 76.0)):
            sketch.stroke([(x, 80), (foot, 102)], line, 0.8)
    elif top.kind is TopKind.T_SHIRT:
        sketch.arc((64, SHOULDER_Y - 3.2), (7.6, 5.6), (0, 180), line, 1.0)
    return sketch.finish()


def _knit_ends(sketch: Sketch, worn_by: Sequence[Arm], build: Build, top: Top) -> None:
    """The darker ribs of a sweater at hem and cuffs."""
    base = GARMENT[top.colour]
    dark, line = shade(base), outline(base)
    hem = HIP_Y + 1.0
    half = build.hip + 1.4
    sketch.stroke([(64 - half, hem - 1.6), (64 + half, hem - 1.6)], dark, 3.2)
    sketch.stroke([(64 - half, hem - 3.6), (64 + half, hem - 3.6)], line, 0.8)
    for arm in worn_by:
        tip, inner = arm.upto(0.84)[-1], arm.upto(0.75)[-1]
        sketch.stroke([inner, tip], dark, 10.0)


def draw_bottoms(bottoms: Bottoms, build: Build, frame: Frame, zoom: float = 1.0) -> Pixels:
    """Trousers, shorts or a skirt; RGBA uint8 [128, 128, 4]."""
    base = GARMENT[bottoms.colour]
    line, dark = outline(base), shade(base)
    fabric = cloth(bottoms.colour, bottoms.pattern, frame, (64.0, HIP_Y + 4.0), zoom)
    sketch = Sketch(frame, line)
    waist = WAIST_Y + 6.0
    hip = build.hip + 0.4
    if bottoms.kind is BottomsKind.SKIRT:
        half = [(64 + hip - 2, waist), (64 + hip + 1, 84.0), (64 + 24.5, 104.0), (64 + 12.0, 105.4)]
        sketch.polygon(mirrored(half))
    else:
        end = ANKLE_Y + 2.0 if bottoms.kind is BottomsKind.TROUSERS else 99.5
        spread = 0.2 if bottoms.kind is BottomsKind.TROUSERS else 2.4
        half = [
            (64 + hip - 2, waist),
            (64 + hip + 0.6, 86.0),
            (64 + hip + spread, end),
            (64 + 2.2 - spread / 4, end),
            (64 + 1.2, 91.0),
        ]
        sketch.polygon(mirrored(half))
    sketch.fill(fabric)
    if bottoms.kind is BottomsKind.SKIRT:
        sketch.tint([(70, 74), (96, 74), (96, 107), (73, 107)], dark, 0.32)
        for x, foot in ((58.5, 55.0), (69.5, 73.0)):
            sketch.stroke([(x, 88), (foot, 105)], line, 0.8)
    else:
        for x in (64 - build.leg_x, 64 + build.leg_x):
            sketch.tint([(x + 2, 74), (x + 11, 74), (x + 11, 116), (x + 3, 116)], dark, 0.32)
        sketch.stroke([(64, 84), (64, 91.5)], line, 1.0)
    return sketch.finish()
