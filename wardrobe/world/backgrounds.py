"""The places people stand in: opaque pictures, a few variants each."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from wardrobe.world.attributes import Background
from wardrobe.world.canvas import SIZE, SUPERSAMPLING, WORK, Pixels, Point
from wardrobe.world.palette import RGB, mix

_WALLS: dict[Background, tuple[RGB, RGB]] = {
    Background.WHITE_WALL: ((244, 242, 237), (226, 220, 210)),
    Background.GREY_WALL: ((150, 156, 166), (112, 116, 126)),
    Background.MINT_WALL: ((158, 222, 198), (112, 178, 154)),
}


@lru_cache(maxsize=64)
def draw_background(background: Background, variant: int) -> Pixels:
    """RGBA uint8 [128, 128, 4], opaque; treat it as read-only."""
    scenery = _Scenery(np.random.default_rng(1000 * list(Background).index(background) + variant))
    if background in _WALLS:
        scenery.room(*_WALLS[background])
    else:
        {
            Background.MEADOW: scenery.meadow,
            Background.BEACH: scenery.beach,
            Background.CITY: scenery.city,
            Background.SUNSET: scenery.sunset,
            Background.MOUNTAINS: scenery.mountains,
        }[background]()
    rgb = np.asarray(scenery.picture.reduce(SUPERSAMPLING))
    pixels = np.dstack([rgb, np.full((SIZE, SIZE), 255, np.uint8)])
    pixels.setflags(write=False)
    return pixels


class _Scenery:
    """One background being painted, in output pixels."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.picture = Image.new("RGB", (WORK, WORK))
        self._pen = ImageDraw.Draw(self.picture)

    def room(self, wall: RGB, floor: RGB) -> None:
        self._gradient(0, SIZE, mix(wall, (255, 255, 255), 0.12), mix(wall, (70, 70, 90), 0.05))
        self._gradient(108, SIZE, floor, mix(floor, (255, 255, 255), 0.18))
        self._polygon([(0, 106), (128, 106), (128, 108.6), (0, 108.6)], mix(floor, (255, 255, 255), 0.55))

    def meadow(self) -> None:
        self._gradient(0, 96, (126, 200, 246), (214, 240, 252))
        self._clouds(3)
        self._hill(78, 7, (142, 204, 112))
        self._hill(90, 5, (112, 184, 84))
        self._gradient_hill(100, (92, 166, 70))
        for _ in range(16):
            x, y = self._rng.uniform(2, 126), self._rng.uniform(98, 126)
            self._circle((x, y), 1.5, ((255, 240, 120), (255, 255, 255), (250, 150, 170))[int(self._rng.integers(3))])

    def beach(self) -> None:
        self._gradient(0, 70, (110, 196, 250), (206, 240, 252))
        self._circle((float(self._rng.choice([20.0, 106.0])), 18), 8.5, (255, 238, 150))
        self._clouds(2)
        self._gradient(68, 96, (34, 142, 198), (92, 204, 214))
        for y in (74.0, 82.0):
            x = float(self._rng.uniform(0, 90))
            self._polygon([(x, y), (x + 26, y), (x + 24, y + 1.2), (x + 2, y + 1.2)], (190, 234, 242))
        self._gradient(94, SIZE, (250, 226, 166), (238, 204, 136))
        self._polygon([(0, 93), (128, 93), (128, 95.5), (0, 95.5)], (248, 252, 252))

    def city(self) -> None:
        self._gradient(0, 108, (176, 198, 222), (226, 230, 236))
        x = -float(self._rng.uniform(0, 8))
        walls: tuple[RGB, ...] = ((118, 130, 156), (146, 124, 124), (98, 112, 138), (158, 146, 136))
        k = int(self._rng.integers(4))
        while x < SIZE:
            width, top = float(self._rng.uniform(17, 26)), float(self._rng.uniform(14, 52))
            self._building(x, top, width, walls[k % 4])
            x, k = x + width, k + 1
        self._gradient(106, SIZE, (120, 120, 128), (98, 98, 106))
        self._polygon([(0, 104), (128, 104), (128, 107.5), (0, 107.5)], (198, 196, 194))

    def sunset(self) -> None:
        self._gradient(0, 50, (86, 54, 128), (232, 98, 104))
        self._gradient(50, 104, (232, 98, 104), (255, 204, 112))
        x = float(self._rng.choice([22.0, 104.0]))
        self._circle((x, 80), 14, (255, 236, 160))
        for _ in range(3):
            left, y = float(self._rng.uniform(-10, 90)), float(self._rng.uniform(14, 56))
            self._polygon([(left, y), (left + 40, y - 1), (left + 34, y + 2.6), (left + 6, y + 2.8)], (250, 150, 120))
        self._hill(92, 4, (92, 52, 92))
        self._gradient_hill(102, (62, 38, 74))

    def mountains(self) -> None:
        self._gradient(0, 110, (150, 196, 234), (228, 240, 250))
        shift = float(self._rng.uniform(-10, 10))
        for x, top, half in ((18.0, 30.0, 40.0), (108.0, 22.0, 44.0), (64.0, 44.0, 34.0)):
            peak = (x + shift, top)
            self._polygon([peak, (peak[0] + half, 104), (peak[0] - half, 104)], (110, 126, 160))
            self._polygon([peak, (peak[0] + half, 104), (peak[0] + half * 0.15, 104)], (92, 106, 142))
            cap = [
                (peak[0] + u * half, top + v * (104 - top))
                for u, v in ((0, 0), (0.3, 0.3), (0.1, 0.24), (-0.08, 0.33), (-0.3, 0.3))
            ]
            self._polygon(cap, (250, 252, 255))
        self._hill(98, 3, (236, 242, 250))
        self._gradient_hill(108, (222, 232, 246))

    def _gradient(self, top: float, bottom: float, start: RGB, end: RGB) -> None:
        first, last = round(top * SUPERSAMPLING), round(bottom * SUPERSAMPLING)
        for row in range(first, min(last, WORK)):
            self._pen.line((0, row, WORK, row), fill=mix(start, end, (row - first) / max(1, last - first)))

    def _polygon(self, points: list[Point], colour: RGB) -> None:
        self._pen.polygon([(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points], fill=colour)

    def _circle(self, centre: Point, radius: float, colour: RGB) -> None:
        x, y, r = (value * SUPERSAMPLING for value in (*centre, radius))
        self._pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _clouds(self, count: int) -> None:
        for _ in range(count):
            x, y = float(self._rng.uniform(4, 124)), float(self._rng.uniform(8, 34))
            for dx, radius in ((-7.0, 4.0), (0.0, 5.6), (7.0, 4.2)):
                self._circle((x + dx, y - (radius - 4)), radius, (252, 253, 255))

    def _hill(self, level: float, swing: float, colour: RGB) -> None:
        phase = float(self._rng.uniform(0, 6.28))
        crest = [(float(x), level + swing * float(np.sin(x / 21 + phase))) for x in range(0, SIZE + 4, 4)]
        self._polygon([*crest, (SIZE, SIZE), (0, SIZE)], colour)

    def _gradient_hill(self, level: float, colour: RGB) -> None:
        self._hill(level, 2.0, colour)

    def _building(self, x: float, top: float, width: float, colour: RGB) -> None:
        self._polygon([(x, top), (x + width - 1.0, top), (x + width - 1.0, 108), (x, 108)], colour)
        columns = int(width // 7)
        for row in range(int((104 - top) // 10)):
            for column in range(columns):
                left, y = x + 2.8 + column * (width - 4) / columns, top + 4 + row * 10
                lit = self._rng.random() < 0.4
                pane: RGB = (250, 226, 150) if lit else mix(colour, (220, 236, 250), 0.5)
                self._polygon([(left, y), (left + 3.6, y), (left + 3.6, y + 5.4), (left, y + 5.4)], pane)
