"""Writes the committed part of the embedded model's repository: `python -m export.publishing.snapshot`."""

from pathlib import Path

from export.publishing.options import PublishOptions
from export.publishing.publish import generated_files
from export.publishing.release import NO_BYTECODE
from export.publishing.served_models import entries
from families.catalog import load_source
from families.repository import MANIFEST_FILE

_PROJECT = Path(__file__).parents[2]
MODEL_FOLDER = _PROJECT / "wardrobe" / "weights" / "wardrobe"
SNAPSHOT_FOLDER = _PROJECT / "model_repository"


def snapshot_files(model_folder: Path) -> dict[Path, str]:
    """Text by path inside the repository. Manifests are left out: they change with every training."""
    source, options = load_source(model_folder), PublishOptions()
    return {
        Path(entry.name(source.manifest.name)) / name: text
        for component in source.manifest.components
        for entry in entries(component, options)
        for name, text in generated_files(source.manifest, entry, options).items()
        if Path(name).name not in {MANIFEST_FILE, NO_BYTECODE}
    }


def main() -> None:
    """Write every file of the snapshot into the checkout."""
    for name, text in snapshot_files(MODEL_FOLDER).items():
        path = SNAPSHOT_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
