"""Write the parser as an ONNX file with its manifest: `python -m wardrobe.training.parser_export`."""

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from families.atomic import replace_text
from families.tryon.parts import BodyPart
from families.vision.joints import Joint
from families.vision.manifest import MANIFEST_FILE, Heatmaps, PartScores, Shown, VisionManifest, VisionTask
from families.vision.size import VisionSize
from wardrobe.training.checkpoints import load_checkpoint
from wardrobe.training.parser import CHECKPOINT
from wardrobe.training.parser_net import MULTIPLE, ParserNet
from wardrobe.training.runtime import runtime_folder
from wardrobe.world.keypoints import KEYPOINTS
from wardrobe.world.render import PARTS

log = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parents[1] / "weights" / "wardrobe-parser"
GRAPH_FILE = "parser.onnx"
OPSET = 18
SMALL = 256  # numbers; biases are not worth a cast
TOLERANCE = 0.05  # of scores that reach dozens: what rounding weights to half precision may cost


def manifest() -> VisionManifest:
    """What the gateway must know of the graph."""
    middle = (127.5, 127.5, 127.5)
    return VisionManifest(
        task=VisionTask.PARSER,
        licence="Apache-2.0",
        graph=GRAPH_FILE,
        size=VisionSize(multiple=MULTIPLE, minimum=64, maximum=256),
        input=Shown(name="images", mean=middle, std=middle),
        parts=PartScores(output="scores", labels=tuple(BodyPart(part.value) for part in PARTS)),
        keypoints=Heatmaps(output="heatmaps", joints=tuple(Joint(point.value) for point in KEYPOINTS)),
    )


def export(net: ParserNet, folder: Path) -> int:
    """Write graph and manifest and return the graph's bytes. Raises ValueError where the graph's answers differ."""
    fused = _fused(net.eval().float().cpu())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / GRAPH_FILE
        _write(fused, path)
        _check(fused, path)
        size = path.stat().st_size
        path.replace(folder / GRAPH_FILE)
    replace_text(folder / MANIFEST_FILE, manifest().dump())
    return size


def _fused(net: ParserNet) -> nn.Module:
    """Normalisation becomes part of the convolution before it."""
    for module in net.modules():
        if not isinstance(module, nn.Sequential) or len(module) < 2:
            continue
        convolution, norm = module[0], module[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module[0], module[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return net


def _write(net: nn.Module, path: Path) -> None:
    axes = {0: "batch", 2: "height", 3: "width"}
    cells = {0: "batch", 2: "rows", 3: "columns"}
    torch.onnx.export(
        net,
        (torch.zeros(2, 3, 4 * MULTIPLE, 6 * MULTIPLE),),
        str(path),
        input_names=["images"],
        output_names=["scores", "heatmaps"],
        dynamic_axes={"images": axes, "scores": axes, "heatmaps": cells},
        opset_version=OPSET,
        dynamo=False,
    )
    model = onnx.load(str(path))
    _halve(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _halve(model: onnx.ModelProto) -> None:
    """Weights lie in the file as float16 and are widened when it is loaded: CPUs compute in float32 anyway."""
    graph = model.graph
    casts = []
    for weights in graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for node in graph.node:
        node.doc_string = ""


def _check(net: nn.Module, path: Path) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 64, 64), (3, 3, 128, 96)):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            expected = net(images)
        for answer, wanted in zip(session.run(None, {"images": images.numpy()}), expected, strict=True):
            difference = float(np.abs(answer - wanted.numpy()).max())
            if answer.shape != tuple(wanted.shape) or difference > TOLERANCE:
                raise ValueError(f"{path}: differs by {difference} from the network at {shape}")


def main() -> None:
    """Export the checkpoint of the runtime folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    checkpoint = load_checkpoint(runtime_folder(options.runtime) / CHECKPOINT)
    if checkpoint is None:
        parser.error("there is no checkpoint yet: run python -m wardrobe.training.parser")
    net = ParserNet()
    net.load_state_dict(checkpoint.modules["net"])
    log.info("%s: %d bytes", options.output, export(net, options.output))


if __name__ == "__main__":
    main()
