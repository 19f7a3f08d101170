"""Head, face and hair."""

from wardrobe.world.attributes import Figure, HairStyle
from wardrobe.world.canvas import Frame, Pixels, Point, Sketch, mirrored, smooth
from wardrobe.world.palette import HAIR, INK, RGB, SKIN, mix, outline, shade
from wardrobe.world.scene import Scene

CENTRE: Point = (64.0, 30.0)
RX = 14.2

# Outlines of the hair over the head, before smoothing.
_LONG: tuple[Point, ...] = (
    (47.6, 46), (46.6, 28), (50, 16), (60, 11.4), (70, 11.4), (79, 17), (81.4, 28), (80.4, 46),
    (76.4, 44), (75.6, 27.5), (66, 19.6), (60, 22.5), (52.6, 28), (51.6, 44),
)  # fmt: skip
_BUN: tuple[Point, ...] = (
    (48.4, 31), (48.4, 22), (54, 14.5), (64, 12.2), (74, 14.5), (79.6, 22), (79.6, 31),
    (76, 26), (70, 20.5), (64, 19.0), (58, 20.5), (52, 26),
)  # fmt: skip
_SHORT: tuple[Point, ...] = (
    (47.8, 34), (47.2, 23), (52, 14.5), (61, 10.6), (72, 11.6), (79.4, 17.6), (80.8, 26), (80.2, 34),
    (77.4, 32), (76, 23.5), (69, 22.6), (60, 21.4), (53.5, 25), (50.6, 32),
)  # fmt: skip


def draw_hair_back(scene: Scene, frame: Frame) -> Pixels | None:
    """The hair behind the neck and shoulders, if the style has any."""
    hair = HAIR[scene.person.hair_colour]
    sketch = Sketch(frame, outline(hair))
    match scene.person.hair_style:
        case HairStyle.LONG:
            half = [(68.0, 11.5), (79.0, 16.0), (83.0, 30.0), (84.5, 50.0), (84.0, 64.0), (76.0, 67.0), (66.0, 64.0)]
            sketch.polygon(smooth(mirrored(half)))
        case HairStyle.CURLY:
            for x, y in _CURLS_BACK:
                sketch.ellipse((x, y), 7.6, 7.6)
                sketch.ellipse((128 - x, y), 7.6, 7.6)
            sketch.ellipse((64, 26), 16, 14)
        case HairStyle.BUN:
            sketch.ellipse((64, 9.8), 7.4, 6.6)
        case HairStyle.SHORT:
            return None
    sketch.fill(mix(hair, shade(hair), 0.55))
    if scene.person.hair_style is HairStyle.BUN:
        sketch.arc((64, 10.6), (4.2, 3.6), (190, 350), outline(hair), 0.9)
    return sketch.finish()


_CURLS_BACK: tuple[Point, ...] = ((81.5, 42.0), (84.0, 33.0), (82.0, 24.0), (76.5, 16.5), (69.0, 12.5))


def draw_face(scene: Scene, frame: Frame) -> Pixels:
    """Head, ears and features; RGBA uint8 [128, 128, 4]."""
    skin = SKIN[scene.person.skin]
    sketch = Sketch(frame, outline(skin))
    for x in (64 - RX, 64 + RX):
        sketch.ellipse((x, 32.0), 2.6, 3.2)
    jaw = 9.0 if scene.person.figure is Figure.MAN else 7.4
    half = [(66.0, 15.0), (64 + RX - 2, 18.0), (64 + RX, 30.0), (64 + RX - 1.5, 38.5), (64 + jaw, 44.6), (66.0, 46.2)]
    sketch.polygon(smooth(mirrored(half)))
    sketch.fill(skin)
    sketch.tint([(72, 14), (82, 14), (82, 48), (66, 48), (74, 40), (76, 30)], shade(skin), 0.28)
    blush = mix(skin, (236, 84, 92), 0.34)
    for side in (-1, 1):
        sketch.spot((64 + side * 9.0, 37.2), 2.7, 1.7, blush)
    _draw_features(sketch, scene, skin)
    return sketch.finish()


def _draw_features(sketch: Sketch, scene: Scene, skin: RGB) -> None:
    woman = scene.person.figure is Figure.WOMAN
    brow = mix(HAIR[scene.person.hair_colour], INK, 0.5)
    for side in (-1, 1):
        x = 64 + side * 5.9
        sketch.spot((x, 32.4), 2.1, 2.7, INK)
        sketch.spot((x + 0.7, 31.4), 0.75, 0.85, (255, 255, 255))
        if woman:
            sketch.stroke([(x + side * 1.6, 30.6), (x + side * 3.5, 29.4)], INK, 1.0)
        lift = 27.0 if woman else 26.8
        sketch.stroke(
            [(x - 2.6, lift + 0.3 * (1 - side)), (x + 2.6, lift + 0.3 * (1 + side))], brow, 1.1 if woman else 1.9
        )
    sketch.arc((64, 35.2), (1.3, 1.1), (20, 160), outline(skin), 0.9)
    sketch.arc((64, 37.6), (4.4, 3.8), (22, 158), (150, 48, 56) if woman else INK, 1.5 if woman else 1.3)


def draw_hair(scene: Scene, frame: Frame) -> Pixels:
    """The hair over the head."""
    hair = HAIR[scene.person.hair_colour]
    line = outline(hair)
    sketch = Sketch(frame, line)
    match scene.person.hair_style:
        case HairStyle.CURLY:
            for x, y in ((64, 15.5), (57.5, 16.5), (70.5, 16.5), (51.5, 20.5), (76.5, 20.5), (49.5, 27), (78.5, 27)):
                sketch.ellipse((x, y), 5.4, 5.2)
        case HairStyle.LONG:
            sketch.polygon(smooth(_LONG))
        case HairStyle.BUN:
            sketch.polygon(smooth(_BUN))
        case HairStyle.SHORT:
            sketch.polygon(smooth(_SHORT))
    sketch.fill(hair)
    shine = mix(hair, (255, 246, 230), 0.3)
    if scene.person.hair_style is HairStyle.CURLY:
        for x, y in ((58, 15.6), (70.4, 15.6), (52, 20), (64, 14.2)):
            sketch.arc((x, y), (2.6, 2.4), (170, 300), shine, 1.1)
    else:
        sketch.arc((63, 24.5), (11.5, 9.8), (205, 262), shine, 1.7)
    return sketch.finish()
