"""Hugging Face's HTTP API, as much of it as a download needs.

GET /api/models/<repository>/revision/<revision>            the commit that a branch or tag stands for
GET /api/models/<repository>/tree/<commit>?recursive=true   files with sizes and checksums, in pages
GET /<repository>/resolve/<commit>/<path>                   content; large files are redirected to a CDN
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Annotated, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, SecretStr, TypeAdapter, ValidationError

from triptych.download.errors import RemoteError
from triptych.download.files import Checksum, RemoteFile, Snapshot
from triptych.download.patience import Patience
from triptych.download.refusals import explain

_TIMEOUT = httpx.Timeout(30, connect=15)
_MAX_REDIRECTS = 5
_MAX_PAGES = 1000


class _Revision(BaseModel):
    sha: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class _Lfs(BaseModel):
    oid: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    type: Literal["file", "directory"]
    path: str
    oid: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    size: Annotated[int, Field(ge=0)] = 0
    lfs: _Lfs | None = None

    def file(self) -> RemoteFile:
        if self.lfs is not None:
            return RemoteFile(self.path, self.lfs.size, Checksum.SHA256, self.lfs.oid)
        return RemoteFile(self.path, self.size, Checksum.GIT_BLOB, self.oid)


_PAGE = TypeAdapter(list[_Entry])


class Hub:
    """One endpoint. The token goes into requests to the endpoint alone: redirects to another host do not carry it."""

    def __init__(self, endpoint: str, token: SecretStr | None, patience: Patience) -> None:
        """`endpoint` without a trailing slash."""
        self._endpoint = endpoint
        self._patience = patience
        self._token_sent = token is not None
        headers = {"user-agent": "triptych", "accept-encoding": "identity"}
        if token is not None:
            headers["authorization"] = f"Bearer {token.get_secret_value()}"
        # httpx itself drops the header when a redirect leaves the origin; the tests hold it to that.
        self._client = httpx.Client(
            headers=headers, timeout=_TIMEOUT, follow_redirects=True, max_redirects=_MAX_REDIRECTS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def snapshot(self, repository: str, revision: str) -> Snapshot:
        """What the repository holds at a branch, tag or commit. Raises RemoteError, TransferError."""
        api = f"{self._endpoint}/api/models/{repository}"
        what = f"{repository} at {revision}"
        found = self._get(f"{api}/revision/{quote(revision, safe='')}", what)
        try:
            commit = _Revision.model_validate_json(found.content).sha
            files = [entry.file() for entry in self._tree(f"{api}/tree/{commit}?recursive=true", what)]
        except ValidationError as error:
            raise RemoteError(
                f"{what}: the hub's answer is not what it should be: {error.errors()[0]['msg']}"
            ) from error
        return Snapshot(repository, commit, tuple(files))

    @contextmanager
    def open(self, snapshot: Snapshot, file: RemoteFile, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The file's bytes from `offset` on, as (where they really begin, chunks): servers may ignore the offset.

        Raises RemoteError, and httpx.RequestError when the connection gives out.
        """
        url = f"{self._endpoint}/{snapshot.repository}/resolve/{snapshot.commit}/{quote(file.path)}"
        headers = {"range": f"bytes={offset}-"} if offset else {}
        with self._client.stream("GET", url, headers=headers) as response:
            if not response.is_success:
                raise explain(response, f"{snapshot.repository}, {file.path}", token_sent=self._token_sent)
            starts = offset if _continues(response, offset) else 0
            yield starts, response.iter_bytes()

    def _tree(self, url: str, what: str) -> Iterator[_Entry]:
        for _ in range(_MAX_PAGES):
            page = self._get(url, what)
            yield from (entry for entry in _PAGE.validate_json(page.content) if entry.type == "file")
            link = page.links.get("next", {}).get("url")
            if link is None:
                return
            url = str(page.url.join(link))
            if not url.startswith(f"{self._endpoint}/"):
                raise RemoteError(f"{what}: the hub's next page lies on another host; the token stays here")
        raise RemoteError(f"{what}: the list of files does not end")

    def _get(self, url: str, what: str) -> httpx.Response:
        """A small answer. Tried again while the hub is busy or away."""
        waits = self._patience.start()
        while True:
            try:
                response = self._client.get(url)
            except httpx.RequestError as error:
                waits.after(f"{what}: no answer: {error}")
                continue
            if response.is_success:
                return response
            refusal = explain(response, what, token_sent=self._token_sent)
            if not refusal.temporary:
                raise refusal
            waits.after(str(refusal), refusal.retry_after)


def _continues(response: httpx.Response, offset: int) -> bool:
    content_range = response.headers.get("content-range", "")
    return response.status_code == httpx.codes.PARTIAL_CONTENT and content_range.startswith(f"bytes {offset}-")
