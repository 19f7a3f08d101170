"""One image's way from noise to latents."""

import math

import torch
from torch.nn.functional import pixel_unshuffle

from engine.request import LatentStart
from engine.samplers.schedule import Schedule
from engine.samplers.start import Start
from families.manifest import Prediction

_LEAST_SIGNAL = 1e-6
"""A flow's first call sees nothing but noise."""


def draw_noise(shape: tuple[int, int, int], generator: torch.Generator, patch: int, frames: int = 1) -> torch.Tensor:
    """Noise [1, C, h, w] float32 of latents [C, h, w], in the order in which the family's reference draws it: one
    after the other, where they are several frames.
    """
    channels, height, width = shape
    drawn = (frames, channels // patch**2, height // frames * patch, width * patch)
    noise = torch.randn(drawn, generator=generator, dtype=torch.float32)
    folded = noise if patch == 1 else pixel_unshuffle(noise, patch)
    return folded.transpose(0, 1).reshape(1, *shape)


class Sampler:
    """Holds one image's latents [1, C, h, w] float32 and scheduler; asks for one denoiser call after another.

    The arithmetic is that of diffusers' pipelines, call for call. Noise comes from a CPU generator of the image's own
    seed, so a picture depends neither on the device nor on its neighbours in the batch.
    """

    def __init__(
        self,
        schedule: Schedule,
        seed: int,
        shape: tuple[int, int, int],
        device: torch.device,
        *,
        noise_patch: int = 1,
        frames: int = 1,
        start: LatentStart | None = None,
    ) -> None:
        """`noise_patch`: see `families.manifest.LatentLayout`. `frames`: so many lie one above the other in `shape`.
        `start` goes with a schedule of the steps it leaves.
        """
        self._schedule = schedule
        self._scheduler = schedule.scheduler()
        self._generator = torch.Generator().manual_seed(seed)
        noise = draw_noise(shape, self._generator, noise_patch, frames).to(device)
        self._start = None if start is None else Start(start, schedule, noise, noise_patch)
        if self._start is None:
            self.latents = noise * getattr(self._scheduler, "init_noise_sigma", 1.0)
        else:
            self.latents = self._start.latents(self._scheduler)
        self.calls_done = 0
        self._input = self.latents

    @property
    def calls_left(self) -> int:
        """Denoiser calls still to come."""
        return len(self._schedule.timesteps) - self.calls_done

    @property
    def steps_done(self) -> int:
        """Steps done, as users count them."""
        return self._schedule.steps_after[self.calls_done - 1] if self.calls_done else 0

    @property
    def timestep(self) -> float:
        """The next call's timestep."""
        return self._schedule.timesteps[self.calls_done]

    def model_input(self) -> torch.Tensor:
        """The next call's sample [1, C, h, w]. May be asked for again when that call failed."""
        scale = getattr(self._scheduler, "scale_model_input", None)
        current = self._scheduler.timesteps[self._at]
        self._input = self.latents if scale is None else scale(self.latents, current)
        return self._input

    def estimate(self, prediction: torch.Tensor) -> torch.Tensor:
        """The denoised estimate x0 [1, C, h, w] from the prediction for `model_input`; ask before `step`."""
        alpha, sigma = self._signal_and_noise()
        if self._schedule.prediction is Prediction.FLOW:
            return self.latents - sigma * prediction
        if self._schedule.prediction is Prediction.V:
            return alpha * self._input - sigma * prediction
        return (self._input - sigma * prediction) / alpha

    def velocity_of(self, estimate: torch.Tensor) -> torch.Tensor:
        """The velocity [1, C, h, w] whose `estimate` is this x0. Ask after `model_input`."""
        alpha, sigma = self._signal_and_noise()
        if self._schedule.prediction is Prediction.FLOW:
            return (self.latents - estimate) / sigma
        return (alpha * self._input - estimate) / sigma

    def prediction_of(self, estimate: torch.Tensor) -> torch.Tensor:
        """The prediction [1, C, h, w] whose `estimate` is this x0. Ask after `model_input`."""
        if self._schedule.prediction is not Prediction.EPSILON:
            return self.velocity_of(estimate)
        alpha, sigma = self._signal_and_noise()
        return (self._input - alpha * estimate) / sigma

    @property
    def log_snr(self) -> float:
        """Half the logarithm of signal to noise at the next call; it grows from call to call."""
        alpha, sigma = self._signal_and_noise()
        return math.log(max(alpha, _LEAST_SIGNAL) / sigma)

    def step(self, prediction: torch.Tensor) -> None:
        """Advance by one denoiser call, whose guided prediction [1, C, h, w] this is."""
        timestep = self._scheduler.timesteps[self._at]
        if self._schedule.takes_generator:
            stepped = self._scheduler.step(
                prediction, timestep, self.latents, generator=self._generator, return_dict=False
            )
        else:
            stepped = self._scheduler.step(prediction, timestep, self.latents, return_dict=False)
        self.calls_done += 1
        self.latents = stepped[0]
        if self._start is not None:
            self.latents = self._start.kept(self._scheduler, self.latents, self.calls_done)

    @property
    def _at(self) -> int:
        """The next call's place among the scheduler's timesteps."""
        return self._schedule.first + self.calls_done

    def _signal_and_noise(self) -> tuple[float, float]:
        """alpha and sigma of the sample that the model saw: of a flow's straight line, else variance-preserving.

        Schedulers with sigmas keep the latents unscaled (x0 + sigma * noise) or scaled; what the model sees is the
        variance-preserving sample in either case, so one formula serves them all.
        """
        sigmas = getattr(self._scheduler, "sigmas", None)
        if self._schedule.prediction is Prediction.FLOW:
            sigma = float(self._scheduler.sigmas[self._at])
            return 1.0 - sigma, sigma
        if sigmas is None:
            cumulative = float(self._scheduler.alphas_cumprod[int(self.timestep)])
        else:
            cumulative = 1.0 / (1.0 + float(sigmas[self._at]) ** 2)
        return cumulative**0.5, (1.0 - cumulative) ** 0.5
