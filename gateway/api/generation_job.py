"""Generations and edits as jobs."""

from gateway.api.generation_answer import answer_facts, whole_answer
from gateway.api.generation_order import StoredGeneration, generation_inputs, read_generation, write_generation
from gateway.api.generation_response import ImageData, ImagesResponse
from gateway.api.job_listener import JobListener
from gateway.api.picture_options import PictureOptions, StreamOptions
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import DrawsPictures, GenerateCommand
from gateway.pipelines.jobs.handler import JobFiles, JobHandler, JobProgress, NewJob, TakenJob, read_order

GENERATION = "image_generation"
EDIT = "image_edit"


class GenerationJobs(JobHandler):
    """Pictures from a prompt, and those that begin from pictures: one handler each, of the same pipeline."""

    def __init__(self, kind: str, pipeline: DrawsPictures) -> None:
        self._kind = kind
        self._pipeline = pipeline

    @property
    def kind(self) -> str:
        """See JobHandler."""
        return self._kind

    async def run(self, job: TakenJob, progress: JobProgress, files: JobFiles) -> ImagesResponse:
        """See JobHandler."""
        stored = read_order(StoredGeneration, job.order)
        command = read_generation(stored, job.inputs)
        file_format = command.encoding.format
        progress.stage("prepare")
        generated = await self._pipeline.run(command, JobListener(progress, file_format))
        progress.stage("store")
        data = [
            ImageData(url=await files.keep(picture.data, file_format.file_type), seed=picture.seed)
            for picture in generated.pictures
        ]
        return whole_answer(generated, file_format, stored.facts, data)


def generation_job(body: PictureOptions, command: GenerateCommand, base_url: str) -> NewJob:
    """Raises InvalidRequest naming the field that does not go with `async`."""
    if body.response_format == "b64_json":
        raise InvalidRequest(
            "'response_format' must be url with 'async': a job's pictures are links", param="response_format"
        )
    if isinstance(body, StreamOptions) and body.stream:
        raise InvalidRequest("'stream' does not go with 'async': follow the job's own events", param="stream")
    kind = GENERATION if command.edit is None else EDIT
    return NewJob(kind, write_generation(command, answer_facts(body)), generation_inputs(command), base_url)
