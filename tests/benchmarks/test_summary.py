"""Medians over repeats, targets, and the tables made of them."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.contenders import CONTENDERS, ENGINE, FASTAPI, TRITON, chosen, rotated
from benchmarks.machine import fingerprint
from benchmarks.plot import draw
from benchmarks.report import markdown, show
from benchmarks.results import Run, load, save
from benchmarks.summary import summarise
from benchmarks.targets import Target, check
from benchmarks.workload import FULL, Workload
from tests.benchmarks.samples import summary, visits

WORKLOAD = Workload(Path("/models/tiny"), Path("/runtime"), "tiny", 8, 4.0, "dpm++_2m_karras", 64, 64)


def a_run() -> Run:
    summaries = tuple(summary(contender) for contender in CONTENDERS)
    return Run(
        started="2030-01-02T03:04:05+00:00",
        seconds=1.0,
        commit="abc",
        machine=fingerprint(),
        workload=WORKLOAD,
        plan=FULL,
        repeats_done=3,
        summaries=summaries,
        targets=check(summaries),
        visits=tuple(visits(TRITON, (4.0,))),
    )


def test_a_row_holds_the_medians_of_the_repeats() -> None:
    row = summarise(TRITON, [*visits(TRITON, (2.0, 4.0, 40.0)), *visits(FASTAPI, (9.0,))])
    alone = row.point(1)
    assert alone is not None
    assert alone.images_per_s == pytest.approx(4.0)
    assert alone.median_s == pytest.approx(0.25)
    assert row.rows_per_step[0].rows == 13.0
    assert row.short_ratio == pytest.approx(3.0)
    assert row.long_per_s == 1.0
    assert [(process.role, process.rss_mib) for process in row.memory] == [
        ("main", 151.0),
        ("worker", 10.0),
        ("worker 2", 20.0),
    ]
    assert row.repeats == 3


def test_a_problem_is_kept_beside_the_figures_there_are() -> None:
    good = visits(TRITON, (4.0,))
    row = summarise(TRITON, [*good, replace(good[0], repeat=1, measured=None, problem="did not start")])
    assert row.problem == "did not start"
    assert row.repeats == 1


def test_targets_compare_the_right_contenders() -> None:
    targets = check([summary(TRITON, (4.0,)), summary(FASTAPI, (1.0,)), summary(ENGINE, (4.2,))])
    values = {target.name: target.value for target in targets}
    assert values["images/s at 8 users against FastAPI + diffusers"] == pytest.approx(4.0)
    assert values["p95 of short requests beside long ones, against alone"] == pytest.approx(3.0)
    assert values["stack tax on latency, 1 user"] == pytest.approx(1.05)
    assert values["stack tax on images/s, 8 users"] == pytest.approx(1.05)
    assert values["gateway memory"] == 150.0
    assert [target.passed for target in targets] == [True, True, True, True, True, True, True]
    assert all(target.line.startswith("PASS") for target in targets)


def test_what_was_not_measured_fails() -> None:
    targets = check([])
    assert not any(target.passed for target in targets)
    assert all("not measured" in target.line for target in targets)


def test_a_target_knows_its_side() -> None:
    assert not Target("latency", 2.0, 1.0, " s").passed
    assert Target("latency", 1.0, 1.0, " s").passed
    assert Target("rate", 2.0, 1.0, "x", at_least=True).passed
    assert not Target("rate", 0.5, 1.0, "x", at_least=True).passed
    assert not Target("gain", 0.0, 0.0, "", at_least=True, beyond=True).passed
    assert Target("gain", 0.005, 0.0, "", at_least=True, beyond=True).line == "PASS  gain: 0.005, promised > 0"


def test_a_run_survives_the_disk_and_becomes_tables_and_a_picture(tmp_path: Path) -> None:
    run = a_run()
    path = save(run, tmp_path)
    assert path.name == f"2030-01-02-{run.machine.slug}.json"
    assert load(path) == run
    text = io.StringIO()
    show(run, Console(file=text, width=160))
    document = markdown(run)
    for contender in CONTENDERS:
        assert contender.label in text.getvalue()
        assert contender.label in document
    draw(run, tmp_path / "throughput.png")
    assert (tmp_path / "throughput.png").read_bytes().startswith(b"\x89PNG")


def test_every_contender_is_first_once() -> None:
    orders = [rotated(CONTENDERS, repeat) for repeat in range(len(CONTENDERS))]
    assert {order[0].key for order in orders} == {contender.key for contender in CONTENDERS}
    assert all(set(order) == set(CONTENDERS) for order in orders)


def test_an_unknown_contender_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known are diffusers, fastapi"):
        chosen(["comfyui"])
    assert [contender.key for contender in chosen(["triton", "fastapi"])] == ["fastapi", "triton"]
