"""Pictures taken apart as jobs."""

from gateway.api.job_listener import JobListener
from gateway.api.layers_order import StoredLayers, layers_inputs, read_layers, write_layers
from gateway.api.layers_response import LayersResponse, whole_answer
from gateway.domain.layering import LayersCommand, TakesApart
from gateway.pipelines.jobs.handler import JobFiles, JobHandler, JobProgress, NewJob, TakenJob, read_order

KIND = "image_layers"


class LayersJobs(JobHandler):
    """Its estimates are of layers: an event's `image_index` is the layer's."""

    def __init__(self, runner: TakesApart) -> None:
        self._runner = runner

    @property
    def kind(self) -> str:
        """See JobHandler."""
        return KIND

    async def run(self, job: TakenJob, progress: JobProgress, files: JobFiles) -> LayersResponse:
        """See JobHandler."""
        command = read_layers(read_order(StoredLayers, job.order), job.inputs)
        progress.stage("prepare")
        result = await self._runner.run(command, JobListener(progress, command.wish.format))
        progress.stage("store")
        return await whole_answer(result, command, files.keep)


def layers_job(command: LayersCommand, base_url: str) -> NewJob:
    """Its pictures will be links."""
    return NewJob(KIND, write_layers(command), layers_inputs(command), base_url)
