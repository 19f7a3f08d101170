"""The committed repository is what the code generates."""

from export.publishing.snapshot import MODEL_FOLDER, SNAPSHOT_FOLDER, snapshot_files


def test_committed_files_are_the_generated_ones() -> None:
    committed = {
        path.relative_to(SNAPSHOT_FOLDER): path.read_text()
        for path in SNAPSHOT_FOLDER.glob("*/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert committed == snapshot_files(MODEL_FOLDER), "regenerate with: python -m export.publishing.snapshot"
