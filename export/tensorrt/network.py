"""An ONNX file as a TensorRT network, and what the network says of its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.runtimes.tensorrt_description import EngineTensor
from engine.runtimes.tensorrt_log import joined, library_log
from export.errors import BuildError
from export.tensorrt.graph import PreparedGraph


@dataclass(frozen=True, slots=True)
class ParsedNetwork:
    """A network with the objects that it needs alive."""

    builder: Any
    network: Any
    parser: Any

    @property
    def inputs(self) -> tuple[EngineTensor, ...]:
        """In the graph's order."""
        return tuple(_tensor(self.network.get_input(index)) for index in range(self.network.num_inputs))

    @property
    def outputs(self) -> tuple[EngineTensor, ...]:
        """In the graph's order."""
        return tuple(_tensor(self.network.get_output(index)) for index in range(self.network.num_outputs))


def empty_network(module: Any) -> ParsedNetwork:
    """A builder, an empty strongly typed network and a parser for it."""
    logger, _ = library_log(module)
    builder = module.Builder(logger)
    # TensorRT 11 knows no other kind, and may not know the flag any more.
    typed = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    return ParsedNetwork(builder, network, module.OnnxParser(network, logger))


def parse(module: Any, parsed: ParsedNetwork, graph: PreparedGraph) -> None:
    """Fill the network. Raises BuildError with every complaint of the parser and the nodes they are about."""
    parser, path = parsed.parser, graph.path
    _, trap = library_log(module)
    with trap.collecting() as errors:
        if graph.rewritten is None:
            read = parser.parse_from_file(str(path))
        else:
            read = parser.parse(graph.rewritten, str(path))
    if not read:
        complaints = [_complaint(parser.get_error(index)) for index in range(parser.num_errors)]
        raise BuildError(f"{_short(path)} cannot be read: {joined(complaints or errors)}")


def _complaint(error: Any) -> str:
    """One parser error with the node it is about."""
    name, operator = error.node_name(), error.node_operator()
    where = f"node {name or error.node()}{f' ({operator})' if operator else ''}: " if name or operator else ""
    return f"{where}{error.desc()}"


def _tensor(tensor: Any) -> EngineTensor:
    return EngineTensor(tensor.name, tensor.dtype.name, tuple(int(side) for side in tensor.shape))


def _short(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
