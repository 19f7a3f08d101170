"""Files in a local folder and in a bucket: the same calls, the same answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.errors import PictureNotFound, StoreUnavailable
from gateway.domain.files import FileType
from gateway.pipelines.jobs.inputs import JobInputs
from gateway.store.objects import Bucket, ObjectStore
from gateway.store.pictures import PictureStore
from tests.support import s3_server


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "folder":
        yield ObjectStore(tmp_path / "files")
        return
    with s3_server.s3_server() as server:
        yield _in_bucket(server)
        assert all(key.startswith("ours/") for key in server.objects)
        assert server.authorizations == {"AWS4-HMAC-SHA256 Credential=somebody"}


def _in_bucket(server: s3_server.Bucket) -> ObjectStore:
    return ObjectStore(Bucket(server.name, "ours", "here", server.url, "somebody", "s3cret"))


async def test_objects_come_back(objects: ObjectStore) -> None:
    await objects.put("a/b", b"1")
    await objects.put("a/b", b"22")
    await objects.put("c", b"")
    assert [await objects.get(key) for key in ("a/b", "c", "a/x", "x/y")] == [b"22", b"", None, None]
    assert sorted([entry.key async for entry in objects.entries()]) == ["a/b", "c"]
    assert [entry.key async for entry in objects.entries("a/")] == ["a/b"]
    await objects.delete(["a/b", "never"])
    assert await objects.get("a/b") is None


async def test_pictures_and_inputs_lie_side_by_side(objects: ObjectStore) -> None:
    pictures, inputs = PictureStore(objects), JobInputs(objects)
    old = await pictures.put(b"old", FileType.PNG, 1)
    new = await pictures.put(b"new", FileType.JPEG, 2**32)
    await objects.put("inputs/job_a/0", b"face")
    assert await pictures.sweep() == 1
    assert await pictures.get(new) == b"new"
    for name in (old, "inputs/job_a/0"):
        with pytest.raises(PictureNotFound):
            await pictures.get(name)
    (picture,) = await inputs.open("job_a", ("image",))
    assert picture.field == "image" and picture.file.read() == b"face"
    assert await inputs.sweep({"job_b"}) == 0, "it is young: its job's record may be on its way"
    await inputs.delete("job_a", 1)
    with pytest.raises(StoreUnavailable, match="image"):
        await inputs.open("job_a", ("image",))


async def test_a_bucket_that_refuses_is_a_503() -> None:
    with s3_server.s3_server() as server:
        server.status = 403
        objects = _in_bucket(server)
        with pytest.raises(StoreUnavailable) as raised:
            await objects.put("a", b"1")
    assert raised.value.status == 503 and "s3cret" not in str(raised.value.__cause__)
