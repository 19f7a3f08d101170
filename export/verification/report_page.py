"""A verification report as one page that needs nothing from outside."""

import base64
import math
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from export.verification.report import Check, Comparison, Histogram, Tolerance, VerificationReport, dump_report

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem; }
tr + tr { border-top: 1px solid #dfe3e8; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
.passed { color: #126b3a; } .failed { color: #b01523; font-weight: 600; }
figure { display: inline-block; margin: .4rem; } figcaption { font-size: .8rem; max-width: 16rem; color: #51606f; }
img { width: 16rem; image-rendering: pixelated; border: 1px solid #dfe3e8; }
svg text { font: 12px system-ui, sans-serif; fill: #51606f; }
@media (prefers-color-scheme: dark) {
  body { background: #14181d; color: #dde3ea; } tr + tr, img { border-color: #353e48; }
  .passed { color: #6fd09b; } .failed { color: #ff8a90; } figcaption, svg text { color: #9aa7b4; fill: #9aa7b4; }
}
"""
_MEANINGS = {
    Comparison.TORCH: "the outputs against the torch module's, on inputs from the model's own sampling",
    Comparison.ROW_ALONE: "each row alone against the same row inside a batch",
    Comparison.END_TO_END: "whole pictures from the same noise, drawn with torch and with this artefact",
    Comparison.FINITE: "weights without NaN and without Inf",
    Comparison.SIGNATURE: "names, types and shapes against the model's signature",
}


def render_page(report: VerificationReport) -> str:
    """HTML with pictures as data URIs and the differences as inline SVG."""
    name = escape(f"{report.model}.{report.component}")
    passed, failed = "passed", f"{_count(report)} failed"
    verdict = f'<span class="{"passed" if report.passed else "failed"}">{passed if report.passed else failed}</span>'
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>Verification of {name}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{name}: {verdict}</h1><p>Allowed: {escape(describe_tolerance(report.tolerance))}.</p>",
        *_facts(report),
        *_histogram(report.histogram),
        *_pictures(report),
        *(part for comparison in Comparison for part in _checks(report, comparison)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def write_reports(reports: Iterable[VerificationReport], folder: Path) -> None:
    """`<model>.<component>.html` and `.json` of each report."""
    folder.mkdir(parents=True, exist_ok=True)
    for report in reports:
        name = f"{report.model}.{report.component}"
        (folder / f"{name}.html").write_text(render_page(report), encoding="utf-8")
        (folder / f"{name}.json").write_text(dump_report(report), encoding="utf-8")


def describe_tolerance(tolerance: Tolerance) -> str:
    """One line for people."""
    said = []
    if tolerance.absolute is not None:
        relative = f" + {tolerance.relative:g} x |value|" if tolerance.relative else ""
        said.append(f"each value off by {tolerance.absolute:g}{relative}")
    if tolerance.differing < 1:
        said.append(f"{tolerance.differing:.0%} of values differing")
    if tolerance.norm is not None:
        said.append(f"{tolerance.norm:g} of the norm")
    if tolerance.psnr:
        said.append(f"pictures {tolerance.psnr:g} dB alike")
    return ", ".join(said)


def _count(report: VerificationReport) -> str:
    return f"{len(report.failures)} of {len(report.checks)} checks"


def _facts(report: VerificationReport) -> Iterator[str]:
    if report.facts:
        rows = (f"<tr><th>{escape(fact.name)}</th><td>{escape(fact.value)}</td></tr>" for fact in report.facts)
        yield f"<h2>The file</h2><table>{''.join(rows)}</table>"


def _histogram(bins: Histogram | None) -> Iterator[str]:
    """Bars on a logarithmic scale: the few large differences are what matters."""
    if bins is None:
        return
    total = sum(bins.counts) + bins.equal
    labels = ["equal", *(f"1e{bins.lowest + index}" for index in range(len(bins.counts)))]
    counts = [bins.equal, *bins.counts]
    longest = max(math.log10(count + 1) for count in counts) or 1
    yield f"<h2>Absolute differences from torch, {total:,} values</h2>"
    yield f'<svg width="700" height="{22 * len(counts)}" role="img" aria-label="differences by powers of ten">'
    for index, (label, count) in enumerate(zip(labels, counts, strict=True)):
        width, top = 420 * math.log10(count + 1) / longest, 22 * index
        yield f'<text x="52" y="{top + 15}" text-anchor="end">{label}</text>'
        yield f'<rect x="60" y="{top + 3}" width="{width:.1f}" height="16" fill="#4a7fb5"/>'
        yield f'<text x="{66 + width:.1f}" y="{top + 15}">{count:,} ({count / max(total, 1):.2%})</text>'
    yield "</svg><p>Each bar reaches from its label to ten times as much; lengths are logarithmic.</p>"


def _pictures(report: VerificationReport) -> Iterator[str]:
    if report.pictures:
        yield "<h2>Pictures from the same noise</h2><div>"
        for picture in report.pictures:
            data = base64.b64encode(picture.png).decode()
            label = escape(picture.label)
            image = f'<img alt="{label}" src="data:image/png;base64,{data}">'
            yield f"<figure>{image}<figcaption>{label}</figcaption></figure>"
        yield "</div>"


def _checks(report: VerificationReport, comparison: Comparison) -> Iterator[str]:
    checks = [check for check in report.checks if check.comparison is comparison]
    if checks:
        yield f"<h2>{escape(comparison.value.capitalize())}</h2><p>{escape(_MEANINGS[comparison])}</p><table>"
        yield "<tr><th>sample</th><th>output</th><th>largest error</th><th>of the norm</th><th>dB</th><th></th></tr>"
        yield from (_row(check) for check in checks)
        yield "</table>"


def _row(check: Check) -> str:
    result = '<td class="passed">passed</td>' if check.passed else f'<td class="failed">{escape(check.problem)}</td>'
    numbers = "".join(
        f'<td class="number">{"" if value is None else format(value, ".3g")}</td>'
        for value in (check.error, check.norm, check.psnr)
    )
    return f"<tr><td>{escape(check.sample)}</td><td>{escape(check.output)}</td>{numbers}{result}</tr>"
