"""One image's way from noise to latents."""

import torch

from engine.samplers.schedule import Schedule
from families.manifest import Prediction


class Sampler:
    """Holds one image's latents [1, C, h, w] float32 and scheduler; asks for one denoiser call after another.

    The arithmetic is that of diffusers' pipelines, call for call. Noise comes from a CPU generator of the image's own
    seed, so a picture depends neither on the device nor on its neighbours in the batch.
    """

    def __init__(self, schedule: Schedule, seed: int, shape: tuple[int, int, int], device: torch.device) -> None:
        self._schedule = schedule
        self._scheduler = schedule.scheduler()
        self._generator = torch.Generator().manual_seed(seed)
        noise = torch.randn((1, *shape), generator=self._generator, dtype=torch.float32)
        self.latents = noise.to(device) * getattr(self._scheduler, "init_noise_sigma", 1.0)
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
        current = self._scheduler.timesteps[self.calls_done]
        self._input = self.latents if scale is None else scale(self.latents, current)
        return self._input

    def estimate(self, prediction: torch.Tensor) -> torch.Tensor:
        """The denoised estimate x0 [1, C, h, w] from the prediction for `model_input`; ask before `step`."""
        if self._schedule.prediction is Prediction.FLOW:
            return self.latents - float(self._scheduler.sigmas[self.calls_done]) * prediction
        alpha, sigma = self._signal_and_noise()
        if self._schedule.prediction is Prediction.V:
            return alpha * self._input - sigma * prediction
        return (self._input - sigma * prediction) / alpha

    def step(self, prediction: torch.Tensor) -> None:
        """Advance by one denoiser call, whose guided prediction [1, C, h, w] this is."""
        timestep = self._scheduler.timesteps[self.calls_done]
        if self._schedule.takes_generator:
            stepped = self._scheduler.step(
                prediction, timestep, self.latents, generator=self._generator, return_dict=False
            )
        else:
            stepped = self._scheduler.step(prediction, timestep, self.latents, return_dict=False)
        self.latents = stepped[0]
        self.calls_done += 1

    def _signal_and_noise(self) -> tuple[float, float]:
        """alpha and sigma of the variance-preserving sample that the model saw.

        Schedulers with sigmas keep the latents unscaled (x0 + sigma * noise) or scaled; what the model sees is the
        variance-preserving sample in either case, so one formula serves them all.
        """
        sigmas = getattr(self._scheduler, "sigmas", None)
        if sigmas is None:
            cumulative = float(self._scheduler.alphas_cumprod[int(self.timestep)])
        else:
            cumulative = 1.0 / (1.0 + float(sigmas[self.calls_done]) ** 2)
        return cumulative**0.5, (1.0 - cumulative) ** 0.5
