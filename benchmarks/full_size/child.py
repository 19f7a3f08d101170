"""One step in a process of its own: `python -m benchmarks.full_size.child KEY STEP FOLDER`; the result is a file."""

import sys
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.full_size import steps
from benchmarks.full_size.items import ITEMS
from benchmarks.full_size.outcome import EngineStep, ErrorStep, ExportStep


def main(key: str, step: str, folder: Path) -> None:
    """Run the step; its record goes to `<step>.json` in the folder."""
    steps.quiet_logs()
    item = next(item for item in ITEMS if item.key == key)
    record: ExportStep | ErrorStep | EngineStep
    match step:
        case "export":
            record = steps.export(item, folder)
        case "reference":
            steps.reference(item, folder)
            return
        case "error":
            record = steps.error(item, folder)
        case "engine":
            record = steps.engine(item, folder)
        case _:
            raise SystemExit(f"unknown step {step}")
    (folder / f"{step}.json").write_bytes(TypeAdapter(type(record)).dump_json(record))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
