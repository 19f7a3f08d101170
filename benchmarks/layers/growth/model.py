"""A published model's denoiser and autoencoder, opened as they are served, and what the denoiser is called with."""

from collections.abc import Sequence
from functools import cached_property

import torch

from benchmarks.layers.growth.figures import Case
from benchmarks.layers.growth.jobs import Job
from engine.open import open_component, read_manifest
from engine.request import DenoiseRequest, NamedCondition, References
from engine.runtimes import Runtime
from engine.samplers.sampler import draw_noise
from engine.settings import RuntimeSettings
from engine.step.conditions import call_conditions
from families.batching import SHORTEST_TEXT
from families.manifest import Component
from families.repository import version_folder
from families.torch_options import TorchDType, TorchOptions

_FIRST = 1000.0
"""The time of a flow's first evaluation, which sees nothing but noise."""


class Model:
    """Weights are read at once, but for the text encoder's: it has nothing to do with layers or sizes."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.manifest = read_manifest(version_folder(job.repository, job.model, Component.DENOISER))
        self.denoiser = self._open(Component.DENOISER, job.dtype)
        self.encoder = self._open(Component.VAE_ENCODER)
        self.decoder = self._open(Component.VAE_DECODER)

    @cached_property
    def text_encoder(self) -> Runtime:
        """In float32, whatever the denoiser computes in."""
        return self._open(Component.TEXT_ENCODER)

    def request(self, case: Case, conditions: Sequence[NamedCondition], picture: torch.Tensor) -> DenoiseRequest:
        """`picture`: the latents [1, C, h, w] of what is taken apart."""
        _, _, rows, columns = picture.shape
        defaults = self.manifest.defaults
        return DenoiseRequest(
            conditions=tuple(conditions),
            seeds=(0,),
            steps=defaults.steps,
            guidance_scale=defaults.guidance_scale,
            scheduler=defaults.scheduler,
            latent_height=self._frames(case) * rows,
            latent_width=columns,
            references=References(picture[0].flatten(1).T.contiguous(), ((rows, columns),)),
        )

    def drawn_request(self, case: Case) -> DenoiseRequest:
        """Of a picture and a text of mere numbers: neither time nor memory depends on what they are."""
        generator, cells = torch.Generator().manual_seed(0), case.side // self.manifest.latent.downscale
        context, mask = self.manifest.text_encoder.outputs
        text = torch.randn(1, SHORTEST_TEXT, int(context.dims[-1]), generator=generator)
        conditions = (
            NamedCondition(context.name, text),
            NamedCondition(mask.name, torch.ones(1, SHORTEST_TEXT, dtype=torch.bool)),
        )
        picture = torch.randn(1, self.manifest.latent.channels, cells, cells, generator=generator)
        return self.request(case, conditions, picture)

    def arguments(self, request: DenoiseRequest) -> tuple[torch.Tensor, ...]:
        """Of the first evaluation, one row."""
        latent, (rows, _) = self.manifest.latent, request.references.sizes[0] if request.references else (1, 1)
        shape = (latent.channels, request.latent_height, request.latent_width)
        generator = torch.Generator().manual_seed(request.seeds[0])
        noise = draw_noise(shape, generator, latent.noise_patch, request.latent_height // rows)
        return noise, torch.tensor([_FIRST]), *call_conditions(request, self.manifest, 1)

    def tokens(self, case: Case) -> int:
        """Of the frames, of the picture that is taken apart, and of the text."""
        return (self._frames(case) + 1) * (case.side // self.manifest.latent.downscale) ** 2 + SHORTEST_TEXT

    def _frames(self, case: Case) -> int:
        assert self.manifest.layers is not None
        return self.manifest.layers.frames(case.layers)

    def _open(self, component: Component, dtype: TorchDType = TorchDType.AUTO) -> Runtime:
        job = self._job
        folder = version_folder(job.repository, job.model, component)
        return open_component(
            folder, component, job.runtime, RuntimeSettings(device="cpu", torch=TorchOptions(dtype=dtype))
        )
