"""One denoiser call: cohorts' rows put together, and its predictions taken apart."""

from collections.abc import Sequence

import torch

from engine.runtimes.base import Runtime
from engine.step.flight import Cohort


class Batcher:
    """Builds batches on the runtime's device. Keeps the last batch's conditions: crowds rarely change between ticks."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._device = torch.device(runtime.device)
        self._riders: tuple[tuple[int, int], ...] = ()
        self._padded = 0
        self._conditions: tuple[torch.Tensor, ...] = ()

    def predict(self, cohorts: Sequence[Cohort], rows: int) -> list[torch.Tensor]:
        """Each cohort's guided prediction [images, C, h, w]. The batch is padded with zeros to `rows` rows.

        Raises whatever the runtime raises, ValueError when its answer has the wrong shape; samplers stay untouched.
        """
        samples: list[torch.Tensor] = []
        timesteps: list[float] = []
        for cohort in cohorts:
            for sampler in cohort.samplers(self._device):
                samples += [sampler.model_input()] * cohort.flight.rows_per_image
                timesteps += [sampler.timestep] * cohort.flight.rows_per_image
        padding = rows - len(samples)
        if padding > 0:
            samples.append(torch.zeros((padding, *samples[0].shape[1:]), device=self._device))
            timesteps += [0.0] * padding
        sample = torch.cat(samples)
        timestep = torch.tensor(timesteps, dtype=torch.float32).to(self._device)
        prediction = self._runtime.run((sample, timestep, *self._conditions_of(cohorts, padding)))[0]
        if prediction.shape != sample.shape:
            raise ValueError(f"the denoiser answered {tuple(prediction.shape)} to {tuple(sample.shape)}")
        return self._split(cohorts, prediction)

    def forget(self) -> None:
        """Let go of the last batch's conditions."""
        self._riders, self._conditions = (), ()

    def _conditions_of(self, cohorts: Sequence[Cohort], padding: int) -> tuple[torch.Tensor, ...]:
        riders = tuple((cohort.flight.arrival, cohort.number) for cohort in cohorts)
        if riders == self._riders and padding == self._padded:
            return self._conditions
        columns = []
        for index in range(len(cohorts[0].flight.request.conditions)):
            parts = []
            for cohort in cohorts:
                # Without guidance only the positive row, which is the last, rides.
                tensor = cohort.flight.request.conditions[index].tensor[-cohort.flight.rows_per_image :]
                parts.append(tensor.to(self._device).repeat(cohort.images, *[1] * (tensor.dim() - 1)))
            if padding > 0:
                parts.append(torch.zeros((padding, *parts[0].shape[1:]), dtype=parts[0].dtype, device=self._device))
            columns.append(torch.cat(parts))
        self._riders, self._padded, self._conditions = riders, padding, tuple(columns)
        return self._conditions

    @staticmethod
    def _split(cohorts: Sequence[Cohort], prediction: torch.Tensor) -> list[torch.Tensor]:
        guided = []
        start = 0
        for cohort in cohorts:
            part = prediction[start : start + cohort.rows]
            start += cohort.rows
            if cohort.flight.rows_per_image == 2:
                negative, positive = part[0::2], part[1::2]
                part = negative + cohort.flight.request.guidance_scale * (positive - negative)
            guided.append(part)
        return guided
