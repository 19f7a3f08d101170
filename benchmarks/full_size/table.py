"""The report as a Markdown page."""

from benchmarks.full_size.outcome import Outcome, Report

_GB = 1e9


def markdown(report: Report) -> str:
    """Figures in decimal gigabytes and seconds."""
    machine = report.machine
    packages = ", ".join(f"{package.name} {package.version}" for package in machine.packages)
    head = (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, no GPU; {packages}. "
        "At " + ", ".join(sorted({outcome.commit for outcome in report.outcomes})) + ".\n\n"
        "| component | parameters | weights | ONNX: seconds (CPU) | peak memory | of the weights | nodes | "
        "error: relative | largest (of) | engine: seconds (CPU) | peak memory | size |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = "\n".join(_row(outcome) for outcome in report.outcomes)
    problems = "".join(f"\n\n{outcome.title}: {outcome.problem}" for outcome in report.outcomes if outcome.problem)
    return f"{head}{rows}\n{problems}"


def _row(outcome: Outcome) -> str:
    cells = [f"{outcome.title}, {outcome.precision}"]
    if outcome.export is None:
        cells += ["failed"] + [""] * 5
    else:
        step = outcome.export
        cells += [
            f"{step.parameters / 1e6:.0f} M",
            f"{step.weight_bytes / _GB:.2f} GB",
            f"{step.seconds:.0f} ({step.cpu_seconds:.0f})",
            f"{step.peak_bytes / _GB:.2f} GB",
            f"{step.peak_bytes / step.weight_bytes:.2f}x",
            str(step.nodes),
        ]
    if outcome.error is None:
        cells += ["", ""]
    else:
        found = outcome.error
        cells += [f"{found.relative:.1e}", f"{found.largest:.1e} ({found.scale:.2g})"]
    if outcome.engine is None:
        cells += ["", "", ""]
    else:
        built = outcome.engine
        cells += [
            f"{built.seconds:.0f} ({built.cpu_seconds:.0f})",
            f"{built.peak_bytes / _GB:.2f} GB",
            f"{built.plan_bytes / _GB:.2f} GB",
        ]
    return f"| {' | '.join(cells)} |"
