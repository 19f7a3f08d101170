"""Publishes one component of a model folder as the export does, without its checks: for tests of what reads it."""

import shutil
from pathlib import Path

from engine.modules import load_source_module
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.sources import published_weights
from families.catalog import ModelSource
from families.lora.files import usable_loras
from families.manifest import Component
from families.manifest_json import dump_manifest
from families.repository import LORAS_FOLDER, MANIFEST_FILE, ONNX_FILE, WEIGHTS_FOLDER, version_folder


def publish(source: ModelSource, repository: Path, component: Component, *, onnx: bool) -> Path:
    """Write `<repository>/<model>.<component>/1`: manifest, weights and, if wanted, the ONNX graph. Returns it."""
    manifest = source.manifest
    folder = version_folder(repository, manifest.name, component)
    for path, place in published_weights(source, component):
        (folder / WEIGHTS_FOLDER / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / WEIGHTS_FOLDER / place)
    for lora in usable_loras(source, component):
        (folder / LORAS_FOLDER).mkdir(exist_ok=True)
        shutil.copy(lora.path, folder / LORAS_FOLDER)
    (folder / MANIFEST_FILE).write_text(dump_manifest(manifest), encoding="utf-8")
    if onnx:
        module = load_source_module(source, component)
        metadata = GraphMetadata(manifest.name, component.value, "test", "test")
        write_onnx(module, manifest.signature(component), metadata, folder / ONNX_FILE)
    return folder
