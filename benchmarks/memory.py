"""Memory of one step of the export, measured in processes of its own: what the two benchmarks of it share."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `added` is the peak above `base`, which a process holds after the same with a tiny model."""

    stored: str
    precision: str
    parameters: int
    weights: int
    base: int
    added: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Memory over weights; the weights themselves count."""
        return self.added / self.weights


def run_steps(module: str, steps: Sequence[str], stored: str, precision: str, width: int) -> str:
    """Run `python -m <module> <step> <folder> ...`, a process a step; the last line that the last one wrote."""
    with tempfile.TemporaryDirectory(prefix="triptych-memory-") as folder:
        for step in steps:
            program = [sys.executable, "-m", module, step, folder, stored, precision, str(width)]
            done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{' '.join(program)} failed:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def write_table(cases: Iterable[tuple[str, str]], measure: Callable[[str, str], Memory], path: Path) -> None:
    """Measure every case (type of the stored weights, what the graph computes in), show a table, write `path`."""
    console = Console()
    table = Table("stored as", "computes in", "weights", "base", "added", "of weights", "seconds")
    found = []
    for stored, precision in cases:
        with console.status(f"{stored} to {precision}"):
            use = measure(stored, precision)
        found.append(use)
        sizes = (f"{size / _MIB:.0f} MiB" for size in (use.weights, use.base, use.added))
        table.add_row(stored, precision, *sizes, f"{use.ratio:.2f} x", f"{use.seconds:.0f}")
    console.print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([{**asdict(use), "ratio": round(use.ratio, 3)} for use in found], indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    console.print(f"written to {path}", highlight=False)
