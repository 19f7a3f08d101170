"""Attention in pieces of its queries, where the matrix of scores would have more elements than TensorRT can count.

Each piece of the queries meets all keys, so every softmax stays whole and the result is the same.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto, helper

from export.tensorrt.symbols import Dims, tensor_dims, volume

# What may lie between the scores and their product with the values: works on each score, or on each row of them.
_ON_SCORES = frozenset({"Mul", "Div", "Add", "Sub", "Where", "Cast", "Identity", "IsNaN", "Softmax"})

_ROWS = "attention/rows"
"""Name of a constant: the axis of queries."""


@dataclass(frozen=True, slots=True)
class _Site:
    """One attention: `scores` is the product with the keys, `inner` what follows, `product` that with the values."""

    scores: Any
    inner: tuple[Any, ...]
    product: Any


def chunk_attention(model: Any, maxima: Sequence[Mapping[str, int]], most: int) -> int:
    """Rewrite, in place, every attention of an ONNX model whose scores pass `most` elements; how many there were.

    `maxima`: the largest value of every symbol, of each profile.
    """
    graph = model.graph
    dims = tensor_dims(graph)
    changed = 0
    for site in list(_sites(graph)):
        largest = max((_elements(site, dims, values) for values in maxima), default=0)
        if largest > most:
            _split(graph, site, -(-largest // most), dims)
            changed += 1
    return changed


def _elements(site: _Site, dims: Mapping[str, Dims], values: Mapping[str, int]) -> int:
    """How many scores there are: queries of all rows and heads by keys. 0 where that cannot be told."""
    queries, keys = dims.get(site.scores.input[0], ()), dims.get(site.product.input[1], ())
    if len(queries) < 2 or len(keys) < 2:
        return 0
    return volume((*queries[:-1], keys[-2]), values) or 0


def _sites(graph: Any) -> Iterator[_Site]:
    producers = {name: node for node in graph.node for name in node.output}
    consumers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            consumers[name].append(node)
    outputs = {output.name for output in graph.output}
    for softmax in graph.node:
        if softmax.op_type == "Softmax":
            scores = _product_before(softmax, producers)
            site = None if scores is None else _follow(scores, consumers, outputs)
            if site is not None and softmax in site.inner:
                yield site


def _product_before(softmax: Any, producers: Mapping[str, Any]) -> Any | None:
    """The MatMul that the scores come from."""
    waiting = [softmax.input[0]]
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.op_type == "MatMul":
            return node
        if node is not None and node.op_type in _ON_SCORES:
            waiting.extend(node.input)
    return None


def _follow(scores: Any, consumers: Mapping[str, list[Any]], outputs: set[str]) -> _Site | None:
    """Everything from the scores to one product with the values; None where they are used for anything else."""
    inner: list[Any] = []
    products: list[Any] = []
    values, waiting = {scores.output[0]}, [scores.output[0]]
    while waiting:
        name = waiting.pop()
        if name in outputs:
            return None
        for node in consumers[name]:
            if node.op_type == "MatMul" and node.input[0] == name:
                products.append(node)
            elif node.op_type not in _ON_SCORES:
                return None
            elif node not in inner:
                inner.append(node)
                values.update(node.output)
                waiting.extend(node.output)
    distinct = {id(node): node for node in products}
    return _Site(scores, tuple(inner), products[0]) if len(distinct) == 1 else None


def _split(graph: Any, site: _Site, pieces: int, dims: Mapping[str, Dims]) -> None:
    """Put `pieces` copies of the site in its place, each on its share of the queries."""
    query, result = site.scores.input[0], site.product.output[0]
    own = {name for node in (site.scores, *site.inner) for name in node.output}
    sides = dict.fromkeys(
        name for node in site.inner for name in node.input if name not in own and _has_row_a_query(dims.get(name, ()))
    )
    made, bounds = _bounds(graph, query, len(dims[query]), pieces, result)
    shares: dict[str, list[str]] = {}
    for name in (query, *sides):
        shares[name] = [f"{result}/{name}/{piece}" for piece in range(pieces)]
        for piece, share in enumerate(shares[name]):
            ends = [bounds[piece], bounds[piece + 1]]
            made.append(helper.make_node("Slice", [name, *ends, _ROWS], [share], name=share))
    order = [site.scores, *_in_graph_order(graph, site.inner), site.product]
    for piece in range(pieces):
        renamed = {name: f"{name}/{piece}" for name in (*own, result)}
        for node in order:
            twin = copy.deepcopy(node)
            twin.name = f"{node.name}/{piece}"
            first = node is site.scores
            for index, name in enumerate(node.input):
                if first and index == 0:
                    twin.input[index] = shares[query][piece]
                elif name in renamed:
                    twin.input[index] = renamed[name]
                elif not first and node is not site.product and name in sides:
                    twin.input[index] = shares[name][piece]
            for index, name in enumerate(node.output):
                twin.output[index] = renamed[name]
            made.append(twin)
    made.append(helper.make_node("Concat", [f"{result}/{piece}" for piece in range(pieces)], [result], axis=-2))
    _replace(graph, [site.scores, *site.inner, site.product], made)


def _bounds(graph: Any, query: str, rank: int, pieces: int, prefix: str) -> tuple[list[Any], list[str]]:
    """Where pieces begin and end: at queries * piece // pieces, so that none is empty while there are enough."""
    _constant(graph, _ROWS, -2)
    count = f"{prefix}/queries"
    nodes = [helper.make_node("Shape", [query], [count], name=count, start=rank - 2, end=rank - 1)]
    pieces_name = _constant(graph, f"{prefix}/pieces", pieces)
    bounds = [_constant(graph, f"{prefix}/first", 0)]
    for piece in range(1, pieces):
        factor, scaled, bound = (f"{prefix}/{part}/{piece}" for part in ("factor", "scaled", "bound"))
        _constant(graph, factor, piece)
        nodes.append(helper.make_node("Mul", [count, factor], [scaled], name=scaled))
        nodes.append(helper.make_node("Div", [scaled, pieces_name], [bound], name=bound))
        bounds.append(bound)
    return nodes, [*bounds, count]


def _constant(graph: Any, name: str, value: int) -> str:
    """An int64 tensor of one element; made once."""
    if all(item.name != name for item in graph.initializer):
        graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    return name


def _replace(graph: Any, former: list[Any], made: Iterable[Any]) -> None:
    """New nodes take the place of the last of the former: what they read is computed before it."""
    names = {node.output[0] for node in former}
    kept: list[Any] = []
    left = len(names)
    for node in graph.node:
        if node.output[0] not in names:
            kept.append(node)
            continue
        left -= 1
        if left == 0:
            kept.extend(made)
    nodes = [copy.deepcopy(node) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)


def _in_graph_order(graph: Any, nodes: tuple[Any, ...]) -> list[Any]:
    outputs = {node.output[0] for node in nodes}
    return [node for node in graph.node if node.output[0] in outputs]


def _has_row_a_query(dims: Dims) -> bool:
    """Whether a tensor beside the scores differs from query to query; one row for all of them every piece takes."""
    return len(dims) >= 2 and dims[-2] != 1
