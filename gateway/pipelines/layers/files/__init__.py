"""Layers as one file."""

from gateway.pipelines.layers.files.kinds import FileKind, file_kind
from gateway.pipelines.layers.files.pack import pack_layers, pack_stack

__all__ = ["FileKind", "file_kind", "pack_layers", "pack_stack"]
