"""Components as torch modules with the signatures of `families`: the torch runtime runs them, export compiles them."""

from engine.modules.loading import load_module

__all__ = ["load_module"]
