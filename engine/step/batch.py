"""One denoiser call: cohorts' rows put together, and its predictions taken apart."""

from collections.abc import Sequence

import torch

from engine.runtimes.adapters import RowAdapters, acting_adapters
from engine.runtimes.base import Runtime, SharesCores
from engine.step.cohort import Cohort
from engine.step.guidance import guide
from families.manifest import GuidanceKind


class Batcher:
    """Builds batches on the runtime's device. Keeps the last batch's conditions: crowds rarely change between ticks."""

    def __init__(self, runtime: Runtime, guidance: GuidanceKind) -> None:
        self._runtime = runtime
        self._guidance = guidance
        self._beside = runtime if isinstance(runtime, SharesCores) else None
        self._device = torch.device(runtime.device)
        self._riders: tuple[tuple[int, int, int, int], ...] = ()
        self._padded = 0
        self._conditions: tuple[torch.Tensor, ...] = ()

    def predict(self, cohorts: Sequence[Cohort], rows: int, *, alone: bool) -> list[torch.Tensor]:
        """Each cohort's guided prediction [riders, C, h, w]. The batch is padded with zeros to `rows` rows.

        `alone`: every core is this call's; otherwise it makes do with one, where the runtime can. Raises whatever the
        runtime raises, ValueError when its answer has the wrong shape; samplers stay untouched.
        """
        samples: list[torch.Tensor] = []
        timesteps: list[float] = []
        for cohort in cohorts:
            for sampler in cohort.riders(self._device):
                samples += [sampler.model_input()] * cohort.rows_per_image
                timesteps += [sampler.timestep] * cohort.rows_per_image
        padding = rows - len(samples)
        if padding > 0:
            samples.append(torch.zeros((padding, *samples[0].shape[1:]), device=self._device))
            timesteps += [0.0] * padding
        sample = torch.cat(samples)
        timestep = torch.tensor(timesteps, dtype=torch.float32).to(self._device)
        inputs = (sample, timestep, *self._conditions_of(cohorts, padding))
        fixed = cohorts[0].flight.bucket.deterministic
        with acting_adapters(self._runtime, _adapters(cohorts, padding, fixed)):
            prediction = self._run(inputs, alone=alone, fixed=fixed)
        if prediction.shape != sample.shape:
            raise ValueError(f"the denoiser answered {tuple(prediction.shape)} to {tuple(sample.shape)}")
        return self._split(cohorts, prediction)

    def _run(self, inputs: Sequence[torch.Tensor], *, alone: bool, fixed: bool) -> torch.Tensor:
        if not alone and self._beside is not None:
            outputs = self._beside.run_beside([tensor.numpy() for tensor in inputs], as_alone=fixed)
            if outputs is not None:
                return torch.from_numpy(outputs[0])
        return self._runtime.run(inputs)[0]

    def forget(self) -> None:
        """Let go of the last batch's conditions."""
        self._riders, self._conditions = (), ()

    def _conditions_of(self, cohorts: Sequence[Cohort], padding: int) -> tuple[torch.Tensor, ...]:
        riders = tuple((c.flight.arrival, c.number, c.rows, c.rows_per_image) for c in cohorts)
        if riders == self._riders and padding == self._padded:
            return self._conditions
        columns = []
        for index in range(len(cohorts[0].flight.conditions)):
            parts = []
            for cohort in cohorts:
                tensor = cohort.flight.conditions[index][-cohort.rows_per_image :]
                images = cohort.rows // cohort.rows_per_image
                parts.append(tensor.to(self._device).repeat(images, *[1] * (tensor.dim() - 1)))
            if padding > 0:
                parts.append(torch.zeros((padding, *parts[0].shape[1:]), dtype=parts[0].dtype, device=self._device))
            columns.append(torch.cat(parts))
        self._riders, self._padded, self._conditions = riders, padding, tuple(columns)
        return self._conditions

    def _split(self, cohorts: Sequence[Cohort], prediction: torch.Tensor) -> list[torch.Tensor]:
        guided = []
        start = 0
        for cohort in cohorts:
            part = prediction[start : start + cohort.rows]
            start += cohort.rows
            if cohort.rows_per_image == 2:
                part = guide(part, cohort.flight.request.guidance_scale, self._guidance)
            guided.append(part)
        return guided


def _adapters(cohorts: Sequence[Cohort], padding: int, fixed: bool) -> RowAdapters:
    uses = [cohort.flight.request.loras for cohort in cohorts for _ in range(cohort.rows)]
    return RowAdapters((*uses, *[()] * padding), apart=fixed)
