"""Sizes of a graph's tensors at a profile's largest shapes: the exporter writes axes as expressions of symbols."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[..., int]] = {"max": max, "min": min}


def evaluate(expression: str, values: Mapping[str, int]) -> int | None:
    """An axis such as `latent_height*latent_width`; None where it is no such expression or a symbol is unknown."""
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, values)
    except (SyntaxError, KeyError, ZeroDivisionError):
        return None


Dims = tuple[int | str | None, ...]
"""A tensor's axes: a number, an expression of symbols, or None where the exporter did not say."""


def tensor_dims(graph: Any) -> dict[str, Dims]:
    """The axes of every tensor of an ONNX graph that has a shape, by name."""
    infos = (info for info in (*graph.value_info, *graph.input, *graph.output) if _has_shape(info))
    found = {info.name: tuple(_dim(dim) for dim in info.type.tensor_type.shape.dim) for info in infos}
    return found | {item.name: tuple(item.dims) for item in graph.initializer}


def volume(dims: Dims, values: Mapping[str, int]) -> int | None:
    """The number of elements; None where an axis is unknown."""
    sides = [evaluate(dim, values) if isinstance(dim, str) else dim for dim in dims]
    return None if None in sides else math.prod(side for side in sides if side is not None)


def _has_shape(info: Any) -> bool:
    return bool(info.type.tensor_type.HasField("shape"))


def _dim(dim: Any) -> int | str | None:
    kind = dim.WhichOneof("value")
    return None if kind is None else dim.dim_param if kind == "dim_param" else int(dim.dim_value)


def _value(node: ast.expr, values: Mapping[str, int]) -> int:
    """Raises KeyError for anything but whole numbers, symbols, arithmetic, Max and Min."""
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name.lower()](*(_value(argument, values) for argument in arguments))
    raise KeyError(ast.dump(node))
