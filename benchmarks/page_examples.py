"""`python -m benchmarks.page_examples` draws the people and garments that the page `/ui` offers as examples."""

from pathlib import Path

from PIL import Image

from wardrobe.world.attributes import (
    Background,
    BottomsKind,
    Colour,
    Figure,
    HairColour,
    HairStyle,
    Pattern,
    Pose,
    Skin,
    TopKind,
)
from wardrobe.world.canvas import Pixels
from wardrobe.world.render import flat_lay, render
from wardrobe.world.scene import Bottoms, Garment, Person, Scene, Top

FOLDER = Path(__file__).resolve().parent.parent / "gateway" / "ui" / "examples"

_PEOPLE = (
    Scene(
        Person(Figure.WOMAN, HairColour.BROWN, HairStyle.LONG, Skin.TAN, Pose.HANDS_ON_HIPS),
        Top(TopKind.SWEATER, Colour.YELLOW, Pattern.PLAIN),
        Bottoms(BottomsKind.TROUSERS, Colour.BLUE, Pattern.PLAIN),
        Background.MEADOW,
    ),
    Scene(
        Person(Figure.MAN, HairColour.BLACK, HairStyle.SHORT, Skin.DARK, Pose.WAVING),
        Top(TopKind.T_SHIRT, Colour.WHITE, Pattern.STRIPED),
        Bottoms(BottomsKind.SHORTS, Colour.GREEN, Pattern.PLAIN),
        Background.BEACH,
    ),
    Scene(
        Person(Figure.WOMAN, HairColour.GINGER, HairStyle.CURLY, Skin.LIGHT, Pose.ARMS_DOWN),
        Top(TopKind.DRESS, Colour.GREEN, Pattern.CHECKED),
        None,
        Background.CITY,
    ),
)
_GARMENTS: tuple[Garment, ...] = (
    Top(TopKind.T_SHIRT, Colour.RED, Pattern.STRIPED),
    Top(TopKind.DRESS, Colour.PURPLE, Pattern.DOTTED),
    Bottoms(BottomsKind.SKIRT, Colour.ORANGE, Pattern.CHECKED),
)


def main() -> None:
    """Replace them."""
    for number, scene in enumerate(_PEOPLE, 1):
        _write(f"person-{number}", render(scene).image)
    for number, garment in enumerate(_GARMENTS, 1):
        _write(f"garment-{number}", flat_lay(garment))


def _write(name: str, pixels: Pixels) -> None:
    Image.fromarray(pixels).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
