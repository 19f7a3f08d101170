"""One case in a process of its own: `python -m benchmarks.layers.growth.child FOLDER`, in which its job lies."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from benchmarks.layers.growth.figures import Grown
from benchmarks.layers.growth.jobs import Job
from benchmarks.layers.growth.model import Model
from benchmarks.layers.growth.taking import take_apart
from benchmarks.peak import forget_peak, peak_bytes
from engine.components import run_batch
from families.batching import MAX_BATCH
from families.manifest import Component


def main(folder: Path) -> None:
    """`grown.json`, and for held-out pictures `velocity.npy` and `layers.npy` as well."""
    job = TypeAdapter(Job).validate_json((folder / "job.json").read_bytes())
    model = Model(job)
    (folder / "grown.json").write_bytes(TypeAdapter(Grown).dump_json(_grown(model, job)))
    if job.pictures:
        velocity, layers = take_apart(model, job)
        np.save(folder / "velocity.npy", velocity)
        np.save(folder / "layers.npy", layers)


def _grown(model: Model, job: Job) -> Grown:
    case, manifest = job.case, model.manifest
    arguments = model.arguments(model.drawn_request(case))
    cells = case.side // manifest.latent.downscale
    drawn = np.random.default_rng(0)
    picture = drawn.integers(0, 256, (1, case.side, case.side, 4), np.uint8)
    latents = drawn.standard_normal((case.layers, manifest.latent.channels, cells, cells), np.float32)
    forget_peak()
    loaded = peak_bytes()
    step = _seconds(lambda: model.denoiser.run(arguments), job.repeats)
    step_bytes = peak_bytes() - loaded
    encode = _seconds(lambda: model.encoder.run_arrays([picture]), job.repeats)
    at_once = MAX_BATCH[Component.VAE_DECODER]
    decode = _seconds(lambda: run_batch(model.decoder, [latents], max_batch=at_once), job.repeats)
    tokens = model.tokens(case)
    return Grown(case, tokens, step, encode, decode, loaded, step_bytes, peak_bytes() - loaded)


def _seconds(call: Callable[[], object], repeats: int) -> float:
    """The median, after a first call that warms up."""
    call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
