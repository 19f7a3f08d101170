"""Publishes one component of a model folder as the export does, without its checks: for tests of what reads it."""

import shutil
from pathlib import Path

from engine.modules import load_module
from export.onnx_graph import GraphMetadata, write_onnx
from families.catalog import ModelSource
from families.manifest import Component
from families.manifest_json import dump_manifest
from families.repository import MANIFEST_FILE, ONNX_FILE, WEIGHTS_FOLDER, version_folder

_PARTS = {Component.TEXT_ENCODER: "text_encoder", Component.DENOISER: "unet", Component.VAE_DECODER: "vae"}


def publish(source: ModelSource, repository: Path, component: Component, *, onnx: bool) -> Path:
    """Write `<repository>/<model>.<component>/1`: manifest, weights and, if wanted, the ONNX graph. Returns it."""
    manifest = source.manifest
    folder = version_folder(repository, manifest.name, component)
    part = _PARTS[component]
    shutil.copytree(source.folder / part, folder / WEIGHTS_FOLDER / part)
    (folder / MANIFEST_FILE).write_text(dump_manifest(manifest), encoding="utf-8")
    if onnx:
        module = load_module(manifest.family, component, source.folder)
        metadata = GraphMetadata(manifest.name, component.value, "test", "test")
        write_onnx(module, manifest.signature(component), metadata, folder / ONNX_FILE)
    return folder
