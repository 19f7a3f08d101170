"""Components as torch modules with the signatures of `families`: the torch runtime runs them, export compiles them."""

from engine.modules.loading import LoadedComponent, load_component, load_module, load_source_module

__all__ = ["LoadedComponent", "load_component", "load_module", "load_source_module"]
