"""Vision models of others: graphs of the form that the registry's aliases describe, published and looked through."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.settings import RuntimeSettings
from engine.vision import VisionRuntime, open_vision
from export.errors import PublishError
from export.publishing.options import PublishOptions
from export.publishing.vision import publish_vision
from families.registry import SHIPPED_FILE, load_declarations
from families.tryon.parts import BodyPart
from families.vision.joints import JOINTS, Joint
from families.vision.manifest import SimCC, VisionManifest, VisionRule
from families.vision.signature import signature
from families.vision.size import VisionSize
from families.vision.source import VisionSource, with_graph

ALIASES = [entry for entry in load_declarations(SHIPPED_FILE).models if entry.vision is not None]


def rule_of(alias: str) -> VisionRule:
    """The alias's, for pictures of an eighth along each side."""
    rule = next(entry.vision for entry in ALIASES if entry.alias == alias)
    assert rule is not None and rule.size.fixed is not None
    height, width = rule.size.fixed
    return rule.model_copy(update={"size": VisionSize(fixed=(height // 8, width // 8))})


def write_graph(path: Path, rule: VisionRule, *, external: bool = False) -> None:
    """Random weights, and everything else as `rule` says: batch, size, names or places, classes or points."""
    assert rule.size.fixed is not None
    height, width = rule.size.fixed
    rng = np.random.default_rng(0)
    batch = "n" if rule.rows > 1 else 1
    weights: list[onnx.TensorProto] = []

    def weight(name: str, *shape: int) -> str:
        weights.append(numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name))
        return name

    channels = 1 if rule.parts is None else len(rule.parts.labels)
    nodes = [
        helper.make_node("AveragePool", [rule.input.name], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["small", weight("mix", channels, 3, 1, 1)], ["map"]),
    ]
    given = {"map": (batch, channels, height // 4, width // 4)}
    if isinstance(rule.keypoints, SimCC):
        points = 133
        nodes.append(helper.make_node("ReduceMean", ["small"], ["colour"], axes=[2, 3], keepdims=0))
        for name, side in (("x", width), ("y", height)):
            steps = round(side * rule.keypoints.split)
            weights.append(numpy_helper.from_array(np.array([-1, points, steps], np.int64), f"shape_{name}"))
            nodes.append(
                helper.make_node("MatMul", ["colour", weight(f"w{name}", 3, points * steps)], [f"flat_{name}"])
            )
            nodes.append(helper.make_node("Reshape", [f"flat_{name}", f"shape_{name}"], [f"along_{name}"]))
            given[f"along_{name}"] = (batch, points, steps)
        del given["map"]
    names = list(given)
    for place, wanted in enumerate(VisionManifest(**dict(rule), licence="l", graph="g.onnx").graph_outputs):
        if not wanted.startswith("#"):
            nodes.append(helper.make_node("Identity", [names[place]], [wanted]))
            given[wanted] = given.pop(names[place])
        elif int(wanted[1:]) > place:  # something else comes before it
            nodes.append(helper.make_node("Identity", [names[place]], ["earlier"]))
            given = {"earlier": given[names[place]], **given}
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(rule.input.name, TensorProto.FLOAT, (batch, 3, height, width))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path), save_as_external_data=external, location="weights.bin", size_threshold=0)


def source_of(path: Path, rule: VisionRule) -> VisionSource:
    return with_graph("model", VisionManifest(**dict(rule), licence="l", graph="g.onnx"), path)


def opened(tmp_path: Path, source: VisionSource) -> VisionRuntime:
    [name] = publish_vision(source, tmp_path / "repository", PublishOptions(threads=1)).names
    return open_vision(tmp_path / "repository" / name / "1", RuntimeSettings(threads=1, device="cpu"))[1]


@pytest.mark.parametrize("alias", [entry.alias for entry in ALIASES])
def test_each_alias_describes_a_graph_that_can_be_looked_through(tmp_path: Path, alias: str) -> None:
    rule = rule_of(alias)
    write_graph(tmp_path / "any.onnx", rule)
    source = source_of(tmp_path / "any.onnx", rule)
    runtime = opened(tmp_path, source)
    assert rule.size.fixed is not None
    pixels = np.random.default_rng(1).integers(0, 256, (3, *rule.size.fixed, 3), dtype=np.uint8)
    answers = runtime.run_arrays([pixels])
    specs = signature(source.manifest).outputs
    assert [answer.dtype for answer in answers] == [spec.dtype.numpy for spec in specs]
    for answer, spec in zip(answers, specs, strict=True):
        fixed = [side for side in spec.dims if isinstance(side, int)]
        assert answer.shape[0] == 3 and list(answer.shape[1 : 1 + len(fixed)]) == fixed
        # one after the other or together, a picture is seen as it is
        assert np.array_equal(answer[1], runtime.run_arrays([pixels[1:2]])[specs.index(spec)][0])


def test_scores_are_those_of_the_graph(tmp_path: Path) -> None:
    rule = rule_of("schp-atr")
    write_graph(tmp_path / "any.onnx", rule)
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    pixels[:, :32] = (200, 30, 90)
    (parts,) = opened(tmp_path, source_of(tmp_path / "any.onnx", rule)).run_arrays([pixels])
    mix = numpy_helper.to_array(onnx.load(str(tmp_path / "any.onnx")).graph.initializer[0])[:, :, 0, 0]
    colour = (np.array([200, 30, 90]) - rule.input.mean) / rule.input.std
    logits = mix @ colour[::-1]  # this graph wants blue first
    shares = np.exp(logits - logits.max())
    expected = np.zeros(len(BodyPart))
    assert rule.parts is not None
    for share, part in zip(shares / shares.sum(), rule.parts.labels, strict=True):
        expected[part.label] += share
    assert np.abs(parts[0, :, 0, 0] - expected * 255).max() <= 0.51


def test_joints_nobody_looks_for_have_no_confidence(tmp_path: Path) -> None:
    rule = rule_of("dwpose")
    write_graph(tmp_path / "any.onnx", rule)
    pixels = np.full((1, 48, 36, 3), 90, np.uint8)
    (points,) = opened(tmp_path, source_of(tmp_path / "any.onnx", rule)).run_arrays([pixels])
    assert points.shape == (1, len(JOINTS), 3)
    assert (points[0, :, 0] <= 36).all() and (points[0, :, 1] <= 48).all()
    shoulders = points[0, [JOINTS.index(Joint.LEFT_SHOULDER), JOINTS.index(Joint.RIGHT_SHOULDER)]]
    assert np.allclose(points[0, JOINTS.index(Joint.NECK), :2], shoulders[:, :2].mean(0))


def test_weights_beside_the_graph_are_published_too(tmp_path: Path) -> None:
    rule = rule_of("rmbg-1.4")
    write_graph(tmp_path / "any.onnx", rule, external=True)
    source = source_of(tmp_path / "any.onnx", rule)
    runtime = opened(tmp_path, source)
    assert (tmp_path / "repository" / "model.matting" / "1" / "weights.bin").is_file()
    assert len(runtime.run_arrays([np.zeros((1, 128, 128, 3), np.uint8)])) == 1
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(PublishError, match=r"'weights\.bin', which must lie beside it"):
        publish_vision(source, tmp_path / "other", PublishOptions())
    assert not list((tmp_path / "other").glob("*/*/model.onnx"))


def test_a_graph_that_is_not_what_its_manifest_says_is_refused(tmp_path: Path) -> None:
    rule = rule_of("segformer-b2-clothes")
    write_graph(tmp_path / "any.onnx", rule)
    assert rule.parts is not None
    wrong_input = rule.model_copy(update={"input": rule.input.model_copy(update={"name": "x"})})
    wrong_output = rule.model_copy(update={"parts": rule.parts.model_copy(update={"output": "#3"})})
    for changed, says in (
        (wrong_input, r"takes \['pixel_values'\], but the manifest of model says 'x'"),
        (wrong_output, r"no output '#3'; it has logits"),
    ):
        with pytest.raises(PublishError, match=says):
            publish_vision(source_of(tmp_path / "any.onnx", changed), tmp_path / "repository", PublishOptions())
    (tmp_path / "broken.onnx").write_bytes(b"\x08\xff\xff not protobuf")
    with pytest.raises(PublishError, match=r"broken\.onnx is no ONNX file"):
        publish_vision(source_of(tmp_path / "broken.onnx", rule), tmp_path / "repository", PublishOptions())
