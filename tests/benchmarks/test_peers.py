"""The peers draw, batch and agree with each other, on a tiny model."""

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.contenders import FASTAPI, LITSERVE, Server
from benchmarks.peers.batching_server import groups
from benchmarks.peers.pipeline import Pipeline, make_scheduler
from benchmarks.visit import visit
from benchmarks.workload import QUICK, Workload, describe, requests
from tests.support.tiny_model import write_tiny_model

PLAN = replace(QUICK, users=(1, 4), cell_s=0.2, warm_up_s=0.1, short_solo_s=0.1, loaded_s=0.2, long_users=1)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("models")
    return describe(write_tiny_model(folder / "tiny"), folder / "runtime", steps=2)


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """Children on one core: torch's thread teams wait for each other endlessly on a machine that others use too."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("server", [FASTAPI, LITSERVE], ids=lambda server: server.key)
def test_a_peer_is_started_measured_and_ended(server: Server, workload: Workload) -> None:
    found = visit(server, 0, workload, PLAN)
    assert found.problem == ""
    assert found.live_s is not None and found.ready_s is not None and found.live_s <= found.ready_s
    assert found.memory and found.memory[0].role == "main"
    assert found.measured is not None
    assert [cell.users for cell in found.measured.cells] == [1, 4]
    assert all(cell.failures == 0 and cell.latencies_s for cell in found.measured.cells)
    assert found.measured.short_solo_s
    assert found.measured.loaded is not None and found.measured.loaded.latencies_s


def test_a_batch_is_split_by_what_one_call_cannot_mix(workload: Workload) -> None:
    stream = requests(workload)
    batch = [replace(next(stream), steps=steps) for steps in (50, 4, 50, 4, 8)]
    batch.append(replace(batch[1], width=32))
    assert groups(batch) == [[1, 3], [5], [4], [0, 2]]


def test_a_scheduler_the_peers_lack_is_named() -> None:
    with pytest.raises(ValueError, match=r"'magic'; known are dpm\+\+"):
        make_scheduler("magic", {})


def test_a_picture_alone_is_the_picture_in_a_batch(workload: Workload) -> None:
    threads = torch.get_num_threads()
    pipeline = Pipeline(workload.model_folder)
    batch = [request for request, _ in zip(requests(workload), range(3), strict=False)]
    together = pipeline.draw(batch)
    alone = pipeline.draw([batch[1]])
    torch.set_num_threads(threads)
    left, right = (np.asarray(image, dtype=np.int16) for image in (together[1], alone[0]))
    assert left.shape == (workload.height, workload.width, 3)
    assert int(np.abs(left - right).max()) <= 2
