"""The tables."""

from benchmarks.layers.growth.figures import Measurement

_MB = 1e6


def markdown(found: Measurement) -> str:
    """Megabytes are decimal, times milliseconds."""
    machine = found.machine
    lines = [
        f"{found.model} on {machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; {found.runtime}.",
        "Memory is what a process took beyond what it held before its first call.", "",
        "| layers | size | tokens | evaluation, ms | encoding, ms | decoding, ms | loaded, MB | evaluating, MB more | "
        "with encoding and decoding, MB more |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for grown in found.grown:
        times = (f"{1000 * seconds:.1f}" for seconds in (grown.step, grown.encode, grown.decode))
        sizes = (f"{size / _MB:.0f}" for size in (grown.loaded, grown.step_bytes, grown.all_bytes))
        case = grown.case
        cells = (str(case.layers), f"{case.side} px", str(grown.tokens), *times, *sizes)
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"The transformer in other numbers, on torch: {found.pictures} held-out pictures, {found.steps} steps, "
        "against float32. Alpha and colours are of layers as they were decoded, in levels of 255; colours are weighed "
        "by alpha.",
        "",
        "| numbers | file, MB | evaluation, ms | velocity, relative error | alpha | colours |",
        "|---|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for stored in found.stored:
        lines.append(
            f"| {stored.numbers} | {stored.file_bytes / _MB:.2f} | {1000 * stored.step:.1f} | "
            f"{100 * stored.velocity:.2f} % | {stored.alpha:.2f} | {stored.colour:.2f} |"
        )
    return "\n".join(lines) + "\n"
