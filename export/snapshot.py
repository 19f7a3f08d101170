"""Writes the committed part of the embedded model's repository: `python -m export.snapshot`."""

from pathlib import Path

from export.options import PublishOptions
from export.publish import generated_files
from families.catalog import load_source
from families.manifest import Component, triton_model_name
from families.repository import MANIFEST_FILE

_PROJECT = Path(__file__).parents[1]
MODEL_FOLDER = _PROJECT / "wardrobe" / "weights" / "wardrobe"
SNAPSHOT_FOLDER = _PROJECT / "model_repository"


def snapshot_files(model_folder: Path) -> dict[Path, str]:
    """Text by path inside the repository. Manifests are left out: they change with every training."""
    source, options = load_source(model_folder), PublishOptions()
    return {
        Path(triton_model_name(source.manifest.name, component)) / name: text
        for component in Component
        for name, text in generated_files(source.manifest, component, options).items()
        if Path(name).name != MANIFEST_FILE
    }


def main() -> None:
    """Write every file of the snapshot into the checkout."""
    for name, text in snapshot_files(MODEL_FOLDER).items():
        path = SNAPSHOT_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
