"""What a graph is made of, for reports and listings."""

from collections import Counter
from pathlib import Path

import onnx

from export.verification.report import Fact

_COMMONEST = 8


def graph_facts(model: onnx.ModelProto, path: Path) -> tuple[Fact, ...]:
    """Opset, nodes and bytes of the graph at `path`."""
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    kinds = Counter(node.op_type for node in model.graph.node)
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    others = ", ".join(f"{domain} {version}" for domain, version in sorted(opsets.items()) if domain != "ai.onnx")
    facts = [
        Fact("opset", str(opsets.get("ai.onnx", ""))),
        Fact("nodes", str(len(model.graph.node))),
        Fact("commonest nodes", ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(_COMMONEST))),
        Fact("initialisers", str(len(model.graph.initializer))),
        Fact("bytes", str(size)),
    ]
    return (*facts, Fact("other operators", others)) if others else tuple(facts)
