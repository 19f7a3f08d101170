"""What torch's exporter leaves behind: notes for its own developers, and what its optimiser no longer uses."""

import onnx_ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, RemoveUnusedNodesPass


def tidy(model: onnx_ir.Model) -> None:
    """Remove, in place, unused nodes and weights and every note that names code and folders of this machine."""
    RemoveUnusedNodesPass()(model)
    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    for node in model.graph.all_nodes():
        values.extend(node.outputs)
    for value in values:
        value.metadata_props.clear()
