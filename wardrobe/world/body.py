"""The figure under the clothes: measures, poses, skin and shoes."""

from dataclasses import dataclass

from wardrobe.world.attributes import BottomsKind, Figure, Pose
from wardrobe.world.canvas import Frame, Pixels, Point, Sketch
from wardrobe.world.palette import SHOES, SKIN, mix, outline, shade
from wardrobe.world.scene import Scene

SHOULDER_Y, WAIST_Y, HIP_Y, ANKLE_Y = 51.0, 71.0, 83.0, 113.0


@dataclass(frozen=True, slots=True)
class Build:
    """Half-widths of the body in figure pixels."""

    shoulder: float
    waist: float
    hip: float
    leg_x: float = 8.8
    leg: float = 12.5  # full width
    arm: float = 7.2  # full width


BUILDS = {
    Figure.WOMAN: Build(shoulder=16.5, waist=13.0, hip=17.0),
    Figure.MAN: Build(shoulder=19.0, waist=16.0, hip=17.0),
}


@dataclass(frozen=True, slots=True)
class Arm:
    """Shoulder, elbow and hand of the arm on the viewer's right."""

    shoulder: Point
    elbow: Point
    hand: Point

    @property
    def joints(self) -> tuple[Point, Point, Point]:
        """From shoulder to hand."""
        return self.shoulder, self.elbow, self.hand

    def upto(self, share: float) -> list[Point]:
        """The joints of the arm's first part; 0.5 ends at the elbow, 1 at the hand."""
        if share <= 0.5:
            return [self.shoulder, _between(self.shoulder, self.elbow, share * 2)]
        return [self.shoulder, self.elbow, _between(self.elbow, self.hand, share * 2 - 1)]

    def flipped(self) -> "Arm":
        """The same arm on the other side."""
        (a, b, c) = ((128.0 - x, y) for x, y in self.joints)
        return Arm(a, b, c)


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def arms(pose: Pose, build: Build) -> tuple[Arm, Arm]:
    """The arm on the viewer's right and the one on the left."""
    x = 64 + build.shoulder - 2.0
    shoulder = (x, SHOULDER_Y + 3.5)
    down = Arm(shoulder, (x + 5.5, 68.5), (x + 6.5, 84.0))
    raised = Arm(shoulder, (x + 13.0, 43.0), (x + 14.5, 22.0))
    hips = Arm(shoulder, (x + 15.0, 67.0), (64 + build.hip + 1.0, 79.5))
    if pose is Pose.ARMS_RAISED:
        return raised, raised.flipped()
    if pose is Pose.HANDS_ON_HIPS:
        return hips, hips.flipped()
    if pose is Pose.WAVING:
        return raised, down.flipped()
    return down, down.flipped()


def draw_legs(scene: Scene, frame: Frame) -> Pixels:
    """Bare legs; RGBA uint8 [128, 128, 4]."""
    build = BUILDS[scene.person.figure]
    skin = SKIN[scene.person.skin]
    sketch = Sketch(frame, outline(skin))
    for side in (-1, 1):
        x = 64 + side * build.leg_x
        half = build.leg / 2
        sketch.polygon([(x - half, HIP_Y - 4), (x + half, HIP_Y - 4), (x + half - 1.6, 117), (x - half + 1.6, 117)])
    sketch.fill(skin)
    for side in (-1, 1):
        x = 64 + side * build.leg_x
        sketch.tint([(x + 1.5, 76), (x + 9, 76), (x + 9, 118), (x + 1.8, 118)], shade(skin), 0.45)
    return sketch.finish()


def draw_shoes(scene: Scene, frame: Frame) -> Pixels:
    """Shoes; RGBA uint8 [128, 128, 4]."""
    build = BUILDS[scene.person.figure]
    sketch = Sketch(frame, outline(SHOES))
    for side in (-1, 1):
        x = 64 + side * (build.leg_x + 1.4)
        sketch.ellipse((x, 117.2), 7.2, 3.9)
        sketch.polygon([(x - 7.2, 117), (x + 7.2, 117), (x + 7.0, 121), (x - 7.0, 121)])
    sketch.fill(SHOES)
    for side in (-1, 1):
        x = 64 + side * (build.leg_x + 1.4)
        sketch.stroke([(x - 7.6, 120.4), (x + 7.6, 120.4)], (238, 236, 230), 1.7)
    return sketch.finish()


def draw_chest(scene: Scene, frame: Frame) -> Pixels:
    """Neck and the skin a low neckline shows."""
    build = BUILDS[scene.person.figure]
    skin = SKIN[scene.person.skin]
    sketch = Sketch(frame, outline(skin))
    sketch.polygon([(59.2, 38), (68.8, 38), (69.2, 50), (58.8, 50)])
    reach = build.shoulder - 1.5
    sketch.polygon(
        [(64 - 6, 48), (64 + 6, 48), (64 + reach, 52.5), (64 + reach - 3, 66), (64 - reach + 3, 66), (64 - reach, 52.5)]
    )
    sketch.fill(skin)
    sketch.tint([(58, 43.5), (70, 43.5), (69, 47.8), (64, 49.6), (59, 47.8)], shade(skin), 0.75)
    return sketch.finish()


def draw_arms(scene: Scene, frame: Frame) -> Pixels:
    """Bare arms and hands; RGBA uint8 [128, 128, 4]."""
    build = BUILDS[scene.person.figure]
    skin = SKIN[scene.person.skin]
    sketch = Sketch(frame, outline(skin))
    for arm in arms(scene.person.pose, build):
        sketch.limb(arm.joints, build.arm)
        sketch.ellipse(arm.hand, build.arm * 0.62, build.arm * 0.66)
    sketch.fill(mix(skin, shade(skin), 0.12))
    return sketch.finish()


def shows_legs(scene: Scene) -> bool:
    """Trousers hide the legs completely; leaving the layer out keeps it from peeping through edges."""
    return scene.bottoms is None or scene.bottoms.kind is not BottomsKind.TROUSERS
