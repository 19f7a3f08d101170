"""A vision model as data (`vision.json`): what its ONNX graph is shown, and what its answers mean.

Labels and keypoints of a model by others are mapped to our words here, so that nothing else needs to know them.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from families.errors import ManifestError
from families.tryon.parts import BodyPart
from families.vision.joints import Joint
from families.vision.size import VisionSize

MANIFEST_FILE = "vision.json"


class VisionTask(StrEnum):
    """What a vision model is for; Triton's model name is `<model>.<task>`."""

    PARSER = "parser"
    POSE = "pose"
    MATTING = "matting"


class Activation(StrEnum):
    """What turns a graph's numbers into shares of 0..1."""

    NONE = "none"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _beside(name: str) -> str:
    path = PurePosixPath(name)
    if len(path.parts) != 1 or path.suffix != ".onnx":
        raise ValueError("must be the name of an ONNX file (*.onnx) in the manifest's folder")
    return name


class Shown(_Part):
    """The graph's one input, float32: every value 0..255 of the picture less `mean`, divided by `std`."""

    name: str
    mean: tuple[float, float, float]
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    channels: Literal["rgb", "bgr"] = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"


class PartScores(_Part):
    """Output [n, classes, h, w], at whatever resolution: how much of each pixel each class has.

    `labels`: the part that each class is, in the order of the classes; several may be the same part.
    """

    output: str
    labels: tuple[BodyPart, ...] = Field(min_length=2)
    activation: Literal[Activation.NONE, Activation.SOFTMAX] = Activation.SOFTMAX


class Heatmaps(_Part):
    """Output [n, channels, h, w] with a bell around each keypoint.

    `joints`: what each channel is; null, and channels beyond, are left out.
    """

    kind: Literal["heatmaps"] = "heatmaps"
    output: str
    joints: tuple[Joint | None, ...] = Field(min_length=1)
    activation: Literal[Activation.NONE, Activation.SIGMOID] = Activation.SIGMOID


class SimCC(_Part):
    """Outputs [n, channels, width * split] and [n, channels, height * split]: a bell along each axis.

    `joints`: what each channel is; null, and channels beyond, are left out.
    """

    kind: Literal["simcc"] = "simcc"
    output_x: str
    output_y: str
    split: float = Field(default=2.0, gt=0)
    joints: tuple[Joint | None, ...] = Field(min_length=1)


class Alpha(_Part):
    """Output [n, 1, h, w] or [n, h, w]: how much of each pixel is the subject's."""

    output: str
    activation: Literal[Activation.NONE, Activation.SIGMOID] = Activation.SIGMOID


class VisionRule(_Part):
    """How a graph is used. A parser has `parts` and may have `keypoints`; a pose has `keypoints`, a matting `alpha`.

    `rows`: pictures that the graph takes at once; more are shown one call after the other. An output may be named by
    its place, "#0" for the graph's first, where the names of its outputs are not told.
    """

    task: VisionTask
    size: VisionSize
    rows: int = Field(default=4, ge=1)
    input: Shown
    parts: PartScores | None = None
    keypoints: Annotated[Heatmaps | SimCC, Field(discriminator="kind")] | None = None
    alpha: Alpha | None = None

    @model_validator(mode="after")
    def _answers_its_task(self) -> Self:
        needed = {VisionTask.PARSER: "parts", VisionTask.POSE: "keypoints", VisionTask.MATTING: "alpha"}[self.task]
        if getattr(self, needed) is None:
            raise ValueError(f"a {self.task} needs {needed!r}")
        allowed = {needed, "keypoints"} if self.task is VisionTask.PARSER else {needed}
        for name in ("parts", "keypoints", "alpha"):
            if getattr(self, name) is not None and name not in allowed:
                raise ValueError(f"a {self.task} has no {name!r}")
        return self

    @property
    def graph_outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs that are read, in the order in which `families.vision.reading` wants them."""
        names: list[str] = [] if self.parts is None else [self.parts.output]
        if isinstance(self.keypoints, Heatmaps):
            names.append(self.keypoints.output)
        elif self.keypoints is not None:
            names += [self.keypoints.output_x, self.keypoints.output_y]
        return tuple(names if self.alpha is None else [*names, self.alpha.output])


class VisionManifest(VisionRule):
    """One vision model: the rule, whose it is, and the graph's file in the manifest's folder."""

    licence: str = Field(min_length=1)
    graph: Annotated[str, AfterValidator(_beside)]

    def dump(self) -> str:
        """Readable, stable JSON."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def read_vision_manifest(path: Path) -> VisionManifest:
    """From a file. Raises ManifestError naming file, key and what is allowed."""
    try:
        return VisionManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        problems = (
            f"{path}: {'.'.join(str(part) for part in item['loc']) or 'top level'}: {item['msg']}"
            for item in error.errors()
        )
        raise ManifestError("\n".join(problems)) from error


def place_of(output: str, outputs: Sequence[str]) -> str:
    """The name of an output that may be told by its place. Raises ManifestError listing the graph's `outputs`."""
    place = output.removeprefix("#")
    if output in outputs:
        return output
    if output.startswith("#") and place.isdecimal() and int(place) < len(outputs):
        return outputs[int(place)]
    raise ManifestError(f"the graph has no output {output!r}; it has {', '.join(outputs)}")


def vision_model_name(model: str, task: VisionTask) -> str:
    """Triton's name of a vision model."""
    return f"{model}.{task.value}"
