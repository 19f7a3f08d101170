"""Try-ons as jobs."""

from gateway.api.tryon_order import StoredTryOn, read_showing, read_tryon, tryon_inputs, write_tryon
from gateway.api.tryon_problems import told_as_tryon
from gateway.api.tryon_response import TryOnResponse, whole_answer
from gateway.api.tryon_wish import Showing
from gateway.domain.pictures import PartialPicture, PictureFormat
from gateway.domain.tryon import TryOnCommand, TryOnListener, TryOnMode, TryOnStage
from gateway.domain.tryon_port import TryOnRunner
from gateway.pipelines.jobs.handler import JobFiles, JobHandler, JobProgress, NewJob, TakenJob, read_order

KINDS = {TryOnMode.FAST: "tryon_fast", TryOnMode.PREMIUM: "tryon_premium"}


class TryOnJobs(JobHandler):
    """One handler a mode, of the same pipeline."""

    def __init__(self, mode: TryOnMode, runner: TryOnRunner) -> None:
        self._mode = mode
        self._runner = runner

    @property
    def kind(self) -> str:
        """See JobHandler."""
        return KINDS[self._mode]

    async def run(self, job: TakenJob, progress: JobProgress, files: JobFiles) -> TryOnResponse:
        """See JobHandler."""
        stored = read_order(StoredTryOn, job.order)
        command = read_tryon(stored, job.inputs)
        with told_as_tryon():
            result = await self._runner.run(command, _Told(progress, command.encoding.format))
        progress.stage("store")
        return await whole_answer(result, self._mode, command.encoding.format, read_showing(stored.showing), files.keep)


def tryon_job(command: TryOnCommand, showing: Showing, base_url: str) -> NewJob:
    """Its pictures will be links."""
    return NewJob(KINDS[command.mode], write_tryon(command, showing), tryon_inputs(command), base_url)


class _Told(TryOnListener):
    def __init__(self, progress: JobProgress, output: PictureFormat) -> None:
        self._progress = progress
        self._output = output

    def started(self) -> None:
        """Jobs have begun already when they get here."""

    def stage_began(self, stage: TryOnStage) -> None:
        self._progress.stage(stage)

    def stage_ended(self, stage: TryOnStage, seconds: float) -> None:
        """The next one's beginning tells it."""

    def progress(self, share: float) -> None:
        self._progress.progress(share)

    def partial(self, picture: PartialPicture) -> None:
        self._progress.preview(picture.data, self._output, image_index=picture.index, order=picture.order)
