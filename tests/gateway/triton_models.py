"""Small numpy models for the real Triton that speak the components' wire format."""

from pathlib import Path

from export.publishing.pbtxt import render
from export.publishing.triton_config import DynamicBatching, InstanceGroup, InstanceKind, ModelConfig, QueuePolicy
from families import denoise_wire
from families.batching import MAX_BATCH
from families.manifest import Component, ModelManifest, triton_model_name
from families.tensors import TensorSpec

_BATCHED = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        self.rows = sum(self.read(request).shape[0] for request in requests)
        return [pb_utils.InferenceResponse([self.answer(self.read(request))]) for request in requests]
"""
TEXT_ENCODER = (
    _BATCHED
    + """
    def read(self, request):
        return pb_utils.get_input_tensor_by_name(request, "input_ids").as_numpy()

    def answer(self, ids):
        # The number of rows of the whole batch, then the row's own tokens: tests see what was padded.
        context = np.zeros((*ids.shape, WIDTH), np.float32)
        context[:, :, 0] = self.rows
        context[:, :, 1] = ids
        return pb_utils.Tensor("context", context)
"""
)
VAE_DECODER = (
    _BATCHED
    + """
    def read(self, request):
        return pb_utils.get_input_tensor_by_name(request, "latents").as_numpy()

    def answer(self, latents):
        pixels = np.clip(latents[:, :3], 0, 255).astype(np.uint8).repeat(8, 2).repeat(8, 3)
        return pb_utils.Tensor("pixels", np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
"""
)
VAE_ENCODER = (
    _BATCHED
    + """
    def read(self, request):
        return pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy()

    def answer(self, pixels):
        small = pixels[:, ::8, ::8].astype(np.float32).transpose(0, 3, 1, 2)
        return pb_utils.Tensor("latents", np.ascontiguousarray(np.concatenate([small, small[:, :1]], axis=1)))
"""
)
# Guidance scale 13 asks for a full queue, 14 for a refusal, 15 for a failure after two steps.
DENOISER = """
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL

class TritonPythonModel:
    def initialize(self, args):
        self.family = pb_utils.MetricFamily(
            name="fake_cancelled_total", description="Cancelled", kind=pb_utils.MetricFamily.COUNTER)
        self.cancelled = self.family.Metric(labels={"model": "fake"})
        self.lock = threading.Lock()

    def execute(self, requests):
        for request in requests:
            values = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in (
                "SEEDS", "STEPS", "GUIDANCE_SCALE", "SCHEDULER", "LATENT_SIZE", "PRIORITY", "DETERMINISTIC",
                "PREVIEW_STEPS", "context")}
            threading.Thread(target=self.run, args=(request.get_response_sender(), values), daemon=True).start()

    def run(self, sender, values):
        steps, scale = int(values["STEPS"][0]), float(values["GUIDANCE_SCALE"][0])
        if scale == 13:
            return self.fail(sender, b"4 of 4", b"queue_full")
        if scale == 14:
            return self.fail(sender, b"no such scheduler", b"invalid")
        assert values["SCHEDULER"][0] == b"euler", values["SCHEDULER"]
        height, width = values["LATENT_SIZE"]
        latents = np.ones((len(values["SEEDS"]), 4, height, width), np.float32) * (
            values["SEEDS"].astype(np.float32)[:, None, None, None])
        for step in range(1, steps + 1):
            time.sleep(0.02)
            if scale == 15 and step == 3:
                return self.fail(sender, b"out of memory", b"failed")
            if sender.is_cancelled():
                with self.lock:
                    self.cancelled.increment(1)
                sender.send(flags=FINAL)
                return
            kind = 2 if step == steps else 1 if step in values["PREVIEW_STEPS"] else 0
            tensors = [pb_utils.Tensor("EVENT", np.array([kind], np.int32))]
            tensors.append(pb_utils.Tensor("STEP", np.array([step], np.int32)))
            if kind:
                tensors.append(pb_utils.Tensor("LATENTS", latents + step))
            sender.send(pb_utils.InferenceResponse(tensors), flags=FINAL if kind == 2 else 0)

    def fail(self, sender, message, code):
        tensors = [pb_utils.Tensor("EVENT", np.array([3], np.int32)), pb_utils.Tensor("STEP", np.array([0], np.int32))]
        tensors.append(pb_utils.Tensor("FAILURE", np.array([code, message], np.object_)))
        sender.send(pb_utils.InferenceResponse(tensors), flags=FINAL)
"""


def write_repository(root: Path, manifest: ModelManifest) -> tuple[str, ...]:
    """A repository with the model's components; returns their names."""
    width = manifest.text_encoder.outputs[0].dims[-1]
    sources = {
        Component.TEXT_ENCODER: TEXT_ENCODER.replace("WIDTH", str(width)),
        Component.DENOISER: DENOISER,
        Component.VAE_ENCODER: VAE_ENCODER,
        Component.VAE_DECODER: VAE_DECODER,
    }
    for component, source in sources.items():
        config = _config(manifest, component)
        folder = root / config.name / "1"
        folder.mkdir(parents=True)
        (folder / "model.py").write_text(source)
        (folder.parent / "config.pbtxt").write_text(render(config))
    return tuple(triton_model_name(manifest.name, component) for component in sources)


def _config(manifest: ModelManifest, component: Component) -> ModelConfig:
    name = triton_model_name(manifest.name, component)
    if component is Component.DENOISER:
        conditions = tuple(
            TensorSpec(spec.name, spec.dtype, ("rows", *spec.dims)) for spec in manifest.denoiser.inputs[2:]
        )
        return ModelConfig(
            name,
            0,
            (*denoise_wire.CONTROL_INPUTS, *conditions),
            denoise_wire.OUTPUTS,
            (InstanceGroup(InstanceKind.CPU),),
            optional_inputs=denoise_wire.OPTIONAL_INPUTS,
            backend="python",
            decoupled=True,
        )
    signature = manifest.signature(component)
    return ModelConfig(
        name,
        MAX_BATCH[component],
        signature.inputs,
        signature.outputs,
        (InstanceGroup(InstanceKind.CPU),),
        backend="python",
        batching=DynamicBatching(1000, QueuePolicy(max_queue_size=64)),
    )
