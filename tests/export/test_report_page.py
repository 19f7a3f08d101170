"""The readable report: everything in one file, and failures impossible to overlook."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from export.artefacts.artefact import PAGE_FILE, Artefact
from export.verification.compare import Compared, compare_pictures, histogram
from export.verification.report import Check, Comparison, Fact, Histogram, Picture, Tolerance, VerificationReport
from export.verification.report_page import render_page, write_reports
from families.manifest import Component


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attributes if name in {"src", "href"}]
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _report(passed: bool = True) -> VerificationReport:
    problem = "" if passed else "differs by <b>9</b>"
    check = Check("2 x 8x8", "prediction", Comparison.TORCH, 0.5, 1.0, passed, problem, 0.01)
    return VerificationReport(
        "tiny",
        "denoiser",
        Tolerance(0.1, 0.01, 0.5, 0.02, 30),
        (check,),
        (Fact("opset", "20"),),
        Histogram(-3, (5, 0, 1), 4),
        (Picture("a <prompt>", b"\x89PNG"),),
    )


def test_a_page_needs_nothing_from_outside() -> None:
    tags = _Tags()
    page = render_page(_report())
    tags.feed(page)
    assert tags.open == []
    assert tags.links and all(link.startswith("data:image/png;base64,") for link in tags.links)
    assert not re.search(r"https?://|@import|<script", page)
    assert "a &lt;prompt&gt;" in page
    assert "10 values" in page


def test_failures_are_shown_with_their_problem() -> None:
    page = render_page(_report(passed=False))
    assert "1 of 1 checks failed" in page
    assert "differs by &lt;b&gt;9&lt;/b&gt;" in page


def test_a_built_artefact_has_its_page(artefacts: dict[Component, Artefact]) -> None:
    for artefact in artefacts.values():
        page = (artefact.folder / PAGE_FILE).read_text()
        assert page.count("<img") == 6, "torch's picture, the artefact's and their difference, for two prompts"
        assert "<svg" in page
        for comparison in (Comparison.TORCH, Comparison.ROW_ALONE, Comparison.END_TO_END, Comparison.FINITE):
            assert f"<h2>{comparison.value.capitalize()}</h2>" in page


def test_reports_are_written_by_name(tmp_path: Path) -> None:
    write_reports([_report()], tmp_path / "reports")
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {"tiny.denoiser.html", "tiny.denoiser.json"}


def test_likeness_of_pictures_is_that_of_the_worst() -> None:
    wanted = np.zeros((2, 4, 4, 3), np.uint8)
    got = wanted.copy()
    got[1] = 5
    of = Compared("pictures", "pixels", Comparison.END_TO_END)
    check = compare_pictures(of, got, wanted, Tolerance(None, 0, psnr=35))
    assert check.psnr is not None and abs(check.psnr - 10 * np.log10(255**2 / 25)) < 1e-9
    assert not check.passed and "34.2 dB alike, 35 dB are due" in check.problem
    assert compare_pictures(of, wanted, wanted, Tolerance(None, 0, psnr=35)).psnr is None


def test_histogram_counts_every_value() -> None:
    counted = histogram(np.array([0.0, 1e-12, 0.02, 0.03, 5000.0]), np.zeros(5))
    assert counted.equal == 1
    assert sum(counted.counts) == 4
    assert counted.counts[-2 - counted.lowest] == 2
    assert counted.counts[0] == counted.counts[-1] == 1
