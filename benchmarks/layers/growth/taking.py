"""Held-out pictures taken apart, with the model's own number of steps."""

import numpy as np
import torch
from PIL import Image

from benchmarks.inproc.sink import FutureSink
from benchmarks.layers.growth.figures import Case
from benchmarks.layers.growth.jobs import Job
from benchmarks.layers.growth.model import Model
from engine.components import run_batch
from engine.request import DenoiseRequest, NamedCondition
from engine.settings import StepSettings
from engine.step import StepEngine
from families.batching import MAX_BATCH
from families.catalog import load_source
from families.manifest import Component
from families.tensors import Array, NamedTensor
from gateway.pipelines.prompts import PromptTokenizer
from gateway.pipelines.trim import without_padding
from wardrobe.evaluation.layers_score import heldout_layers
from wardrobe.world.canvas import Pixels

_NOTHING, _NEGATIVE = "", " "


def take_apart(model: Model, job: Job) -> tuple[Array, Pixels]:
    """The first velocity of each picture, and its decoded layers [pictures, layers, side, side, 4]."""
    pictures = [_scaled(case.picture, job.case.side) for case in heldout_layers(job.pictures)]
    conditions = _conditions(model, job)
    latents = [torch.from_numpy(model.encoder.run_arrays([picture[None]])[0]) for picture in pictures]
    requests = [model.request(job.case, conditions, each) for each in latents]
    velocities = [model.denoiser.run(model.arguments(request))[0].numpy() for request in requests]
    engine = StepEngine(model.manifest, model.denoiser, StepSettings(warm_up=False))
    try:
        layers = [_layers(model, engine, request, job.case) for request in requests]
    finally:
        engine.close()
    return np.concatenate(velocities), np.stack(layers)


def _conditions(model: Model, job: Job) -> tuple[NamedCondition, ...]:
    """Nothing is said of the pictures."""
    manifest = model.manifest
    tokenizer = PromptTokenizer(load_source(job.folder).tokenizer_files, manifest.prompts)
    guided = manifest.defaults.guidance_scale > 1
    pieces = [tokenizer.encode(text).pieces[0] for text in ((_NEGATIVE, _NOTHING) if guided else (_NOTHING,))]
    tokens = [
        np.concatenate([tensor.array for tensor in each]) for each in zip(*(p.tokens for p in pieces), strict=True)
    ]
    encoded = model.text_encoder.run_arrays(tokens)
    outputs = manifest.text_encoder.outputs
    named = tuple(NamedTensor(spec.name, array) for spec, array in zip(outputs, encoded, strict=True))
    return tuple(NamedCondition(n.name, torch.from_numpy(n.array.copy())) for n in without_padding(manifest, named))


def _layers(model: Model, engine: StepEngine, request: DenoiseRequest, case: Case) -> Pixels:
    """Bottom to top, without the frame of the picture as a whole."""
    sink = FutureSink()
    engine.submit(request, sink)
    latents = sink.latents.result().numpy()
    _, channels, _, width = latents.shape
    frames = latents.reshape(channels, -1, width, width).swapaxes(0, 1)[1:]
    assert len(frames) == case.layers
    at_once = MAX_BATCH[Component.VAE_DECODER]
    return run_batch(model.decoder, [np.ascontiguousarray(frames)], max_batch=at_once)[0].astype(np.uint8, copy=False)


def _scaled(picture: Pixels, side: int) -> Pixels:
    """Opaque RGBA at the model's size."""
    return np.array(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS).convert("RGBA"))
