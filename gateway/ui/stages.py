"""Parts of the work in the visitor's words. A stage that is not listed is shown by its own name."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of a kind of job, in order, and what each is called."""

    titles: Mapping[str, str]

    def title(self, stage: str) -> str:
        """What the visitor reads."""
        return self.titles.get(stage, stage.replace("_", " ").capitalize())


TRY_ON = Stages(
    MappingProxyType(
        {
            "load": "Reading the pictures",
            "parse": "Finding the person",
            "garment": "Cutting out the garment",
            "crop": "Zooming in",
            "mask": "Choosing what changes",
            "generate": "Drawing",
            "score": "Judging the drawings",
            "refine": "Refining",
            "restore": "Putting back what must stay",
            "encode": "Writing the files",
            "store": "Saving",
        }
    )
)
GENERATION = Stages(MappingProxyType({"prepare": "Preparing", "denoise": "Drawing", "store": "Saving"}))
LAYERS = Stages(MappingProxyType({"prepare": "Preparing", "denoise": "Taking it apart", "store": "Saving"}))

INTERMEDIATES: Mapping[str, str] = MappingProxyType(
    {
        "parse": "Body parts",
        "pose": "Pose",
        "garment": "Garment",
        "mask": "What changes",
        "masked_person": "What the model sees",
        "crop": "Region",
    }
)
"""Captions of the stages' own pictures."""

_SECOND = "second_"


def caption(name: str) -> str:
    """Of an intermediate picture, e.g. `mask`, `second_mask`, `candidate_7`."""
    if name.startswith(_SECOND):
        return f"{caption(name.removeprefix(_SECOND))}, second garment"
    return INTERMEDIATES.get(name, name.replace("_", " ").capitalize())
