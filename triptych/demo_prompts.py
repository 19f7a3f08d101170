"""What `triptych demo` draws: prompts in the embedded model's own grammar, with mixed step counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoPrompt:
    """One request of the demo. `steps` differ so that the in-flight batching has something to show."""

    steps: int
    seed: int
    text: str


DEMO_PROMPTS = (
    DemoPrompt(8, 3, "a woman with long blonde hair, arms down, wearing a red dotted dress, in a meadow"),
    DemoPrompt(
        12, 7, "a man with short black hair, waving, wearing a blue striped sweater and brown trousers, on a beach"
    ),
    DemoPrompt(8, 11, "a woman with curly ginger hair, hands on hips, wearing a green checked dress, in a city"),
    DemoPrompt(
        20, 23, "a man with short brown hair, arms raised, wearing a yellow t-shirt and blue shorts, in the mountains"
    ),
    DemoPrompt(
        8, 31, "a woman with black hair in a bun, wearing a purple checked t-shirt and a white plain skirt, at sunset"
    ),
    DemoPrompt(
        6, 5, "a man with curly black hair, wearing an orange plain tank top and green dotted shorts, on a beach"
    ),
    DemoPrompt(
        16, 13, "a woman with long black hair, hands on hips, wearing a pink striped dress, against a mint wall"
    ),
    DemoPrompt(
        8, 29, "a man with short grey hair, wearing a black plain sweater and red checked trousers, in a meadow"
    ),
)
