"""Layers as one file."""

from gateway.pipelines.layers.files.kinds import file_type
from gateway.pipelines.layers.files.pack import pack_layers, pack_stack

__all__ = ["file_type", "pack_layers", "pack_stack"]
