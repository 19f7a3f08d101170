"""`python -m benchmarks.quantisation.profile`: where one denoiser call's time goes, by ONNX Runtime's own profiler."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime as ort
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.quantisation.builds import build
from benchmarks.quantisation.precisions import REFERENCE
from families.catalog import load_source
from families.manifest import Component

_ROOT = Path(__file__).resolve().parents[2]
_WARM_UP, _SHOWN = 3, 12


def main(
    *,
    recipe: Annotated[list[str] | None, typer.Option(help="Recipe, repeatable.")] = None,
    rows: Annotated[int, typer.Option(min=1)] = 2,
    calls: Annotated[int, typer.Option(min=1)] = 20,
    model: Annotated[Path, typer.Option(help="The embedded model's folder.")] = _ROOT / "wardrobe/weights/wardrobe",
    runtime_directory: Annotated[Path, typer.Option(help="Where artefacts lie.")] = _ROOT / "runtime",
) -> None:
    """Milliseconds a call by operator, one thread, so that no kernel's time is another's waiting."""
    table, columns = Table("operator"), []
    for name in recipe or [REFERENCE, "wardrobe-int8-smoothquant"]:
        graph = build(name, load_source(model), runtime_directory).graphs[Component.DENOISER]
        columns.append(_by_operator(graph, rows, calls))
        table.add_column(name.removeprefix("wardrobe-"), justify="right", overflow="fold")
    total: Counter[str] = sum(columns, Counter())
    for operator, _ in total.most_common(_SHOWN):
        table.add_row(operator, *(f"{column[operator]:.2f}" for column in columns))
    table.add_row("everything", *(f"{column.total():.2f}" for column in columns))
    Console().print(table)


def _by_operator(graph: Path, rows: int, calls: int) -> Counter[str]:
    """Milliseconds of one call by operator type, mean over the calls after the warm-up."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        random = np.random.default_rng(0)
        shapes = {node.name: [rows, *node.shape[1:]] for node in session.get_inputs()}
        side = 16  # the embedded model's own latents
        feed = {
            name: random.standard_normal([part if isinstance(part, int) else side for part in shape]).astype(np.float32)
            for name, shape in shapes.items()
        }
        for _ in range(_WARM_UP + calls):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    runs = [event for event in events if event["name"] == "model_run"]
    began = sorted(event["ts"] for event in runs)[_WARM_UP]
    spent: Counter[str] = Counter()
    for event in events:
        if event["cat"] == "Node" and event["ts"] >= began and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"] / 1e3 / calls
    return spent


if __name__ == "__main__":
    typer.run(main)
