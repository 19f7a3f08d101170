"""Jobs as a caller sees them."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Told:
    """An event."""

    id: int | None
    kind: str
    data: dict[str, Any]


def submit(http: httpx.Client, **fields: Any) -> str:
    answer = http.post("/v1/images/generations", json={"prompt": "a hat", "async": True, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def job(http: httpx.Client, job_id: str) -> dict[str, Any]:
    answer = http.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def wait_for(http: httpx.Client, job_id: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def arrived() -> bool:
        found.update(job(http, job_id))
        return found["status"] in statuses

    until(arrived, seconds)
    return found


def until(arrived: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not arrived():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def events(http: httpx.Client, job_id: str, after: int | None = None) -> Iterator[Told]:
    """Until the server ends the stream."""
    headers = {} if after is None else {"last-event-id": str(after)}
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        number, kind = None, ""
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            match name:
                case "id":
                    number = int(value)
                case "event":
                    kind = value
                case "data":
                    yield Told(number, kind, json.loads(value))
                    number = None


def picture(http: httpx.Client, answer: dict[str, Any], place: int = 0) -> bytes:
    fetched = http.get(answer["data"][place]["url"])
    assert fetched.status_code == 200
    return fetched.content
