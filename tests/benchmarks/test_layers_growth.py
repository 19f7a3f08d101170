"""Layers' growth from end to end, on a tiny model."""

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from benchmarks.layers.growth import __main__ as command
from benchmarks.layers.growth import child, measure
from benchmarks.layers.growth.figures import Case, Measurement
from benchmarks.layers.growth.jobs import Job, run_child, write_job
from export.publishing.options import Runtime
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered


def test_growth_and_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_qwen_image_layered(tmp_path / "tiny")
    card = json.loads((folder / "triptych.json").read_text())
    sampling = {"sampling": {"steps": 2, "guidance_scale": 1.0}}
    (folder / "triptych.json").write_text(json.dumps(card | sampling))
    usual = Case(2, 64)
    monkeypatch.setattr(command, "USUAL", usual)
    monkeypatch.setattr(command, "CASES", (usual, Case(8, 192)))

    def one_in_its_process(job: Job) -> Path:
        """All others here: a process takes seconds to begin."""
        if job.case == usual and not job.pictures:
            return run_child(job)
        folder = write_job(job)
        child.main(folder)
        return folder

    monkeypatch.setattr(measure, "run_child", one_in_its_process)
    command.main(
        model=folder, runtime=Runtime.TORCH, repeats=2, pictures=1, quick=False, runtime_directory=tmp_path / "runtime",
        out=tmp_path, images=tmp_path,
    )  # fmt: skip
    (written,) = tmp_path.glob("*-layers-growth.json")
    found = TypeAdapter(Measurement).validate_json(written.read_bytes())
    small, large = found.grown
    assert (small.tokens, large.tokens) == (4 * 16 + 64, 10 * 144 + 64)
    assert large.step > small.step > 0
    assert large.decode > small.decode > 0
    assert large.step_bytes > small.step_bytes
    assert large.all_bytes > large.step_bytes
    exact, half, eight, five, four = found.stored
    assert [one.numbers for one in found.stored] == ["float32", "bfloat16", "Q8_0", "Q5_0", "Q4_0"]
    assert (exact.velocity, exact.alpha, exact.colour) == (0, 0, 0)
    assert 0 < half.velocity < four.velocity < 1
    assert 0 < eight.velocity < five.velocity < four.velocity
    assert 0 < eight.colour < four.colour
    assert exact.file_bytes > half.file_bytes > eight.file_bytes > five.file_bytes > four.file_bytes
    table = written.with_suffix(".md").read_text()
    assert "| 8 | 192 px | 1504 |" in table
    assert "| Q4_0 |" in table
    assert (tmp_path / "layers-growth.png").stat().st_size > 10_000
