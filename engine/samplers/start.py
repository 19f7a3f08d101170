"""Pictures that denoising starts from, and cells of them that stay."""

import torch
from torch.nn.functional import pixel_unshuffle

from engine.request import LatentStart
from engine.samplers.schedule import Schedule
from engine.samplers.schedulers import DiffusersScheduler
from families.manifest import Prediction


class Start:
    """One image's start picture, held against its own noise. The arithmetic is that of diffusers' pipelines."""

    def __init__(self, picture: LatentStart, schedule: Schedule, noise: torch.Tensor, patch: int) -> None:
        """`noise` [1, C, h, w]: the image's own, on the device of its latents. `patch`: how it was folded."""
        self._picture = picture.latents.to(noise.device)
        self._mask = None if picture.mask is None else _folded(picture.mask.to(noise.device), noise.shape[1], patch)
        self._all_steps = picture.strength >= 1.0
        self._schedule = schedule
        self._noise = noise

    def latents(self, scheduler: DiffusersScheduler) -> torch.Tensor:
        """Latents [1, C, h, w] before the first call; `scheduler` is the image's own."""
        # As diffusers: inpainting with every step forgets what was there, img2img with every step does not quite.
        if self._mask is not None and self._all_steps and self._schedule.prediction is not Prediction.FLOW:
            return self._noise * float(scheduler.init_noise_sigma)
        return self._noised(scheduler, 0)

    def kept(self, scheduler: DiffusersScheduler, latents: torch.Tensor, calls_done: int) -> torch.Tensor:
        """The latents after a call, with the picture at the next call's noise level where the mask keeps it.

        After the last call these cells are the picture's own, to the bit.
        """
        if self._mask is None:
            return latents
        ended = calls_done == len(self._schedule.timesteps)
        picture = self._picture if ended else self._noised(scheduler, calls_done)
        return (1 - self._mask) * picture + self._mask * latents

    def _noised(self, scheduler: DiffusersScheduler, call: int) -> torch.Tensor:
        """The picture at the noise level of the call; schedulers want to be asked in the order of the calls."""
        at = self._schedule.first + call
        timestep = scheduler.timesteps[at : at + 1]
        noised: torch.Tensor
        if self._schedule.prediction is Prediction.FLOW:
            noised = scheduler.scale_noise(self._picture, timestep, self._noise)
        else:
            noised = scheduler.add_noise(self._picture, self._noise, timestep)
        return noised


def _folded(mask: torch.Tensor, channels: int, patch: int) -> torch.Tensor:
    """A mask [h * p, w * p] as weights of latents [1, C, h, w], whose channels hold p * p cells each."""
    return pixel_unshuffle(mask[None, None], patch).repeat(1, channels // patch**2, 1, 1)
