"""Which prompts a model is calibrated on."""

from collections.abc import Sequence
from itertools import cycle, islice

from export.errors import BuildError
from families.catalog import ModelSource

PROMPTS_FILE = "calibration_prompts.txt"
"""One prompt a line, of the kind the model will be asked: in the model's folder, or beside it as `<folder>.<this>`."""

# For models that bring none: subjects, styles, lengths and an empty prompt, as strangers ask for them.
GENERAL_PROMPTS = (
    "a photograph of an astronaut riding a horse",
    "portrait of an old fisherman, weathered face, natural light, 85mm",
    "a bowl of ramen on a wooden table, steam, food photography",
    "minimalist logo of a fox, flat colours, white background",
    "an oil painting of a stormy sea with a small sailing boat",
    "isometric illustration of a tiny city in a glass bottle",
    "a red sports car on a mountain road at sunrise",
    "macro shot of a dew drop on a green leaf",
    "",
    "a woman in a striped blue dress walking through a market",
    "interior of a bright Scandinavian living room with a grey sofa and many plants",
    "a watercolour of cherry trees in bloom",
    "black and white street photograph, rain, umbrellas, reflections",
    "pixel art of a wizard in a forest",
    "a golden retriever puppy sitting in the snow",
    "product photo of white running shoes on a concrete floor, soft shadows",
    "a castle on a cliff above the clouds, fantasy concept art, highly detailed",
    "aerial view of a winding river through autumn woods",
    "a robot gardener watering tomatoes, digital painting",
    "close-up of a human eye, hazel iris, studio lighting",
    "a child's crayon drawing of a family and a yellow sun",
    "a medieval knight in shining armour, full body, plain background",
    "the night sky with the milky way over a desert",
    "a cup of coffee with latte art, top view",
    "an art deco poster of a steam train",
    "man, green shirt, black trousers, plain grey background",
    "cyberpunk alley with neon signs and a food stall, cinematic, volumetric fog",
    "a stack of old books and a burning candle, still life",
    "an elephant made of paper, origami",
    "a ballet dancer in mid-jump, long exposure, black background",
    "two cats sleeping on a sunny window sill",
    "a snowy village at dusk, warm light in the windows, low poly 3d render",
)


def prompts_for(source: ModelSource, count: int) -> tuple[str, ...]:
    """`count` prompts, in order; where there are fewer they come again, and then start from other noise.

    Raises BuildError where the model's file holds none or is not text.
    """
    return tuple(islice(cycle(_known(source)), count))


def _known(source: ModelSource) -> Sequence[str]:
    for path in (source.folder / PROMPTS_FILE, source.folder.with_name(f"{source.folder.name}.{PROMPTS_FILE}")):
        if not path.is_file():
            continue
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        except UnicodeDecodeError as error:
            raise BuildError(f"{path} is not UTF-8 text: {error}") from error
        prompts = [line for line in lines if line]
        if not prompts:
            raise BuildError(f"{path} holds no prompts: write one a line, or remove it for the general ones")
        return prompts
    return GENERAL_PROMPTS
