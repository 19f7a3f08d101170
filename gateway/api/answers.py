"""The answer to a command for pictures: one JSON object, or a stream of events."""

import base64
from typing import Any

from fastapi import Request
from starlette.responses import Response

from gateway.api.disconnect import run_while_connected
from gateway.api.error_docs import errors
from gateway.api.event_schemas import event_stream
from gateway.api.files import base_url, share_file
from gateway.api.generation_answer import answer_facts, whole_answer
from gateway.api.generation_job import generation_job
from gateway.api.generation_response import ImageData
from gateway.api.generation_stream import EventKinds, GenerationStream, StreamFacts
from gateway.api.jobs import ACCEPTED, accept_job
from gateway.api.picture_options import PictureOptions
from gateway.api.services import Services
from gateway.domain.pictures import GenerateCommand, Picture


def picture_responses(events: EventKinds | None) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`; `events` None where it does not stream."""
    answers = {**ACCEPTED, **errors(400, 404, 413, 415, 429, 500, 503, 504, 507)}
    if events is None:
        return answers
    kinds = [kind.model_fields["type"].default for kind in (events.partial, events.completed)]
    told = (
        f"With `stream`: events `{kinds[0]}` and `{kinds[1]}`, one JSON object each; a failure under way is an "
        "`error` event."
    )
    content = {"text/event-stream": event_stream(events)}
    return {200: {"description": f"The pictures. {told}", "content": content}, **answers}


async def answer_pictures(
    request: Request, services: Services, body: PictureOptions, command: GenerateCommand, stream: EventKinds | None
) -> Response:
    """Hanging up cancels the work within one denoising step, unless the request is for a job.

    `stream`: the events to answer with; None: one object.
    """
    if body.run_async:
        return await accept_job(request, services, generation_job(body, command, base_url(services, request)))

    async def link(picture: Picture) -> str:
        return await share_file(services, request, picture.data, command.encoding.format.file_type)

    facts = answer_facts(body)
    if stream is not None:
        streamed = StreamFacts(
            events=stream,
            quality=facts.quality,
            output_format=command.encoding.format.value,
            safety_identifier=facts.safety_identifier,
            link=link if body.response_format == "url" else None,
        )
        return GenerationStream(services.pipeline, command, streamed)

    generated = await run_while_connected(request.receive, services.pipeline.run(command, None))
    data = [
        _inline(picture)
        if body.response_format == "b64_json"
        else ImageData(url=await link(picture), seed=picture.seed)
        for picture in generated.pictures
    ]
    answer = whole_answer(generated, command.encoding.format, facts, data)
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


def _inline(picture: Picture) -> ImageData:
    return ImageData(b64_json=base64.b64encode(picture.data).decode(), seed=picture.seed)
