"""What `triptych demo` draws: prompts in the embedded model's own grammar, with mixed step counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoPrompt:
    """One request of the demo. `steps` differ so that the in-flight batching has something to show."""

    text: str
    steps: int
    seed: int


DEMO_PROMPTS = (
    DemoPrompt(
        "a woman with long blonde hair and light skin, arms down, wearing a red dotted dress, in a meadow", 8, 3
    ),
    DemoPrompt(
        "a man with short black hair, waving, wearing a blue striped sweater and brown plain trousers, on a beach",
        12,
        7,
    ),
    DemoPrompt("a woman with curly ginger hair, hands on hips, wearing a green checked dress, in a city", 8, 11),
    DemoPrompt(
        "a man with short brown hair, arms raised, wearing a yellow plain t-shirt and blue plain shorts, in the mountains",
        20,
        23,
    ),
    DemoPrompt(
        "a woman with bun black hair and dark skin, wearing a purple checked t-shirt and a white plain skirt, at sunset",
        8,
        31,
    ),
    DemoPrompt(
        "a man with curly black hair wearing an orange plain tank top and green dotted shorts, on a beach", 6, 5
    ),
    DemoPrompt(
        "a woman with long black hair, hands on hips, wearing a pink striped dress, in front of a mint wall", 16, 13
    ),
    DemoPrompt("a man with short grey hair wearing a black plain sweater and red checked trousers, in a meadow", 8, 29),
)
