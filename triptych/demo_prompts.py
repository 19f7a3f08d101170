"""What `triptych demo` draws: prompts in the embedded model's own grammar, with mixed step counts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoPrompt:
    """One request of the demo. `steps` differ so that the in-flight batching has something to show."""

    text: str
    steps: int
    seed: int
