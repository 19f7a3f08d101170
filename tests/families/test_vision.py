"""Vision models as data: sizes, manifests, and what a graph's numbers mean."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from families.errors import ManifestError
from families.tryon.parts import BodyPart
from families.vision.joints import JOINTS, Joint
from families.vision.manifest import (
    Activation,
    Alpha,
    Heatmaps,
    PartScores,
    Shown,
    SimCC,
    VisionManifest,
    VisionTask,
    place_of,
    read_vision_manifest,
)
from families.vision.reading import read, shown
from families.vision.signature import KEYPOINTS, PARTS, signature
from families.vision.size import VisionSize
from families.vision.source import discover_vision, load_vision
from wardrobe.world.attributes import Part
from wardrobe.world.keypoints import Keypoint

FLEXIBLE = VisionSize(multiple=16, minimum=64, maximum=256)
INPUT = Shown(name="images", mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))


def parser(**changes: object) -> VisionManifest:
    rule = PartScores(output="scores", labels=(BodyPart.BACKGROUND, BodyPart.TOP, BodyPart.HAIR, BodyPart.TOP))
    values: dict[str, object] = {
        "task": VisionTask.PARSER, "licence": "MIT", "graph": "g.onnx", "size": FLEXIBLE, "input": INPUT, "parts": rule
    }  # fmt: skip
    return VisionManifest.model_validate(values | changes)


def test_the_world_and_the_words_agree() -> None:
    assert [joint.value for joint in Joint] == [point.value for point in Keypoint]
    assert [part.value for part in BodyPart] == [part.value for part in Part]


@given(height=st.integers(1, 5000), width=st.integers(1, 5000))
def test_any_picture_fits_unsquashed(height: int, width: int) -> None:
    scales = (
        (FLEXIBLE, min(1.0, FLEXIBLE.maximum / max(height, width))),
        (VisionSize(fixed=(384, 288)), min(384 / height, 288 / width)),
    )
    for size, scale in scales:
        fit = size.fit(height, width)
        assert size.allows(fit.padded_height, fit.padded_width)
        assert fit.height <= fit.padded_height and fit.width <= fit.padded_width
        assert abs(fit.height - max(1.0, height * scale)) <= 0.5
        assert abs(fit.width - max(1.0, width * scale)) <= 0.5
    small = FLEXIBLE.fit(height, width)
    if max(height, width) <= FLEXIBLE.maximum:
        assert (small.height, small.width) == (height, width)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ({"multiple": 16, "minimum": 60, "maximum": 256}, "multiples of 'multiple'"),
        ({"minimum": 64, "maximum": 32}, "maximum not below the minimum"),
        ({"fixed": [0, 5]}, "at least 1"),
    ],
)
def test_impossible_sizes_are_refused(size: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        VisionSize.model_validate(size)


def test_what_a_graph_is_shown() -> None:
    pixels = np.full((2, 64, 80, 3), (11, 24, 38), np.uint8)
    values = shown(pixels, parser())
    assert values.shape == (2, 3, 64, 80) and values.dtype == np.float32
    assert values[0, :, 0, 0].tolist() == [1.0, 2.0, 2.0]
    turned = shown(pixels, parser(input=INPUT.model_copy(update={"channels": "bgr", "layout": "nhwc"})))
    assert turned.shape == (2, 64, 80, 3) and turned[0, 0, 0].tolist() == [2.0, 2.0, 1.0]
    with pytest.raises(ValueError, match=r"60x80 .* multiples of 16 from 64 to 256"):
        shown(pixels[:, :60], parser())
    with pytest.raises(ValueError, match="uint8"):
        shown(pixels.astype(np.float32), parser())  # type: ignore[arg-type]


def test_classes_that_are_the_same_part_count_together() -> None:
    scores = np.zeros((1, 4, 2, 2), np.float32)
    scores[0, :, 0, 0] = np.log([0.4, 0.3, 0.0001, 0.3])  # neither top alone has most
    (parts,) = read([scores], parser(), 64, 64)
    assert parts.shape == (1, len(BodyPart), 2, 2) and parts.dtype == np.uint8
    assert parts[0, :, 0, 0].argmax() == BodyPart.TOP.label and parts[0, BodyPart.TOP.label, 0, 0] == 153
    assert parts[0, :, 1, 1].tolist() == [64, 64, 0, 0, 0, 0, 128, 0, 0]
    fewer = parser(parts=PartScores(output="scores", labels=(BodyPart.TOP, BodyPart.HAIR)))
    with pytest.raises(ValueError, match="'scores' has 4 classes, its manifest 2"):
        read([scores], fewer, 64, 64)


def test_a_heatmap_s_peak_is_found_between_its_cells() -> None:
    x, y = 41.3, 22.9
    cells = np.arange(20) + 0.5
    bell = np.exp(-((cells[None, :] - x / 4) ** 2 + (cells[:16, None] - y / 4) ** 2) / 2)
    maps = np.zeros((1, 2, 16, 20), np.float32)
    maps[0, 1] = bell
    manifest = VisionManifest(
        task=VisionTask.POSE, licence="MIT", graph="g.onnx", size=FLEXIBLE, input=INPUT,
        keypoints=Heatmaps(output="maps", joints=(None, Joint.LEFT_WRIST), activation=Activation.NONE),
    )  # fmt: skip
    (points,) = read([maps], manifest, 64, 80)
    assert signature(manifest).outputs == (KEYPOINTS,)
    found = points[0, JOINTS.index(Joint.LEFT_WRIST)]
    assert np.allclose(found[:2], (x, y), atol=0.05) and 0.9 < found[2] <= 1
    assert points[0, JOINTS.index(Joint.HEAD), 2] == 0


def test_simcc_and_a_neck_between_the_shoulders() -> None:
    rule = SimCC(output_x="#0", output_y="#1", joints=(Joint.LEFT_SHOULDER, None, Joint.RIGHT_SHOULDER))
    manifest = VisionManifest(
        task=VisionTask.POSE,
        licence="MIT",
        graph="g.onnx",
        size=VisionSize(fixed=(64, 48)),
        input=INPUT,
        keypoints=rule,
    )
    along_x, along_y = np.zeros((1, 5, 96), np.float32), np.zeros((1, 5, 128), np.float32)
    along_x[0, 0, 60], along_y[0, 0, 30] = 0.8, 0.6
    along_x[0, 2, 20], along_y[0, 2, 34] = 0.9, 0.9
    (points,) = read([along_x, along_y], manifest, 64, 48)
    by_joint = {joint: points[0, JOINTS.index(joint)].tolist() for joint in JOINTS}
    assert by_joint[Joint.LEFT_SHOULDER] == pytest.approx([30, 15, 0.6])
    assert by_joint[Joint.NECK] == pytest.approx([20, 16, 0.6])
    assert by_joint[Joint.LEFT_ANKLE][2] == 0
    with pytest.raises(ValueError, match="at least 3 channels"):
        read([along_x[:, :2], along_y], manifest, 64, 48)


def test_alpha_with_and_without_an_axis_of_one() -> None:
    rule = Alpha(output="#0", activation=Activation.SIGMOID)
    manifest = VisionManifest(
        task=VisionTask.MATTING, licence="MIT", graph="g.onnx", size=FLEXIBLE, input=INPUT, alpha=rule
    )
    logits = np.array([[-50.0, 0.0], [1.0, 50.0]], np.float32)
    for given_ in (logits[None, None], logits[None]):
        (alpha,) = read([given_], manifest, 64, 64)
        assert alpha.tolist() == [[[0, 128], [186, 255]]]


def test_a_manifest_survives_its_file(tmp_path: Path) -> None:
    manifest = parser(keypoints=Heatmaps(output="maps", joints=(Joint.HEAD, None)))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "vision.json").write_text(manifest.dump())
    with pytest.raises(ManifestError, match=r"g\.onnx is missing"):
        load_vision(tmp_path / "one")
    (tmp_path / "one" / "g.onnx").write_bytes(b"\x08")
    [source] = discover_vision([tmp_path, tmp_path]).values()
    assert source.manifest == manifest and source.triton_name == "one.parser"
    assert manifest.graph_outputs == ("scores", "maps") and signature(manifest).outputs == (PARTS, KEYPOINTS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parts": None}, "a parser needs 'parts'"),
        ({"task": "pose"}, "a pose needs 'keypoints'"),
        ({"alpha": {"output": "a"}}, "a parser has no 'alpha'"),
        ({"graph": "../g.onnx"}, "graph: .*name of an ONNX file"),
        ({"graph": "weights.bin"}, "graph: .*name of an ONNX file"),
        ({"licence": ""}, "licence"),
        ({"input": {"name": "x", "mean": [0, 0, 0], "std": [1, 0, 1]}}, "input.std.1"),
        ({"parts": {"output": "s", "labels": ["background", "hat"]}}, "parts.labels.1"),
        ({"surplus": 1}, "surplus"),
    ],
)
def test_a_mistake_names_file_and_key(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = tmp_path / "vision.json"
    path.write_text(json.dumps(json.loads(parser().dump()) | change))
    with pytest.raises(ManifestError, match=says) as caught:
        read_vision_manifest(path)
    assert str(path) in str(caught.value)


def test_outputs_by_name_and_by_place() -> None:
    assert place_of("b", ["a", "b"]) == "b" and place_of("#1", ["a", "b"]) == "b"
    for wrong in ("c", "#2", "#x"):
        with pytest.raises(ManifestError, match="a, b"):
            place_of(wrong, ["a", "b"])
