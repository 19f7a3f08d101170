"""Finished pictures as the answer that OpenAI's client reads; the same for requests and for jobs."""

import time

from pydantic import BaseModel, ConfigDict

from gateway.api.generation_command import effective_quality
from gateway.api.generation_response import ImageData, ImagesResponse, whole_usage
from gateway.api.picture_options import PictureOptions
from gateway.domain.pictures import Generated, PictureFormat


class AnswerFacts(BaseModel):
    """What an answer repeats of its request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quality: str
    safety_identifier: str | None


def answer_facts(body: PictureOptions) -> AnswerFacts:
    """Of this request."""
    return AnswerFacts(quality=effective_quality(body), safety_identifier=body.safety_identifier or body.user or None)


def whole_answer(
    generated: Generated, file_format: PictureFormat, facts: AnswerFacts, data: list[ImageData]
) -> ImagesResponse:
    """`data`: one a picture."""
    return ImagesResponse(
        created=int(time.time()),
        data=data,
        size=str(generated.pictures[0].size),
        quality=facts.quality,
        output_format=file_format.value,
        usage=whole_usage(generated.usage),
        safety_identifier=facts.safety_identifier,
        warnings=list(generated.warnings) or None,
    )
