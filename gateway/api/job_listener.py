"""What a pipeline tells while it draws, as a job's progress."""

from gateway.domain.pictures import GenerateListener, PartialPicture, PictureFormat
from gateway.pipelines.jobs.handler import JobProgress

_DENOISED = 0.95
"""Of the whole; decoding and writing the files is the rest."""


class JobListener(GenerateListener):
    """`file_format`: of the estimates."""

    def __init__(self, progress: JobProgress, file_format: PictureFormat) -> None:
        self._progress = progress
        self._format = file_format

    def started(self) -> None:
        """See GenerateListener."""
        self._progress.stage("denoise")

    def progress(self, share: float) -> None:
        """See GenerateListener."""
        self._progress.progress(share * _DENOISED)

    def partial(self, picture: PartialPicture) -> None:
        """See GenerateListener."""
        self._progress.preview(picture.data, self._format, image_index=picture.index, order=picture.order)
