"""The model registry: alias -> environment variable -> declared patterns in read-only folders."""

from families.registry.declaration import SHIPPED_FILE, VARIABLE_PREFIX, Declarations, ModelEntry, load_declarations
from families.registry.errors import RegistryError, UnknownAlias, UnservableAlias
from families.registry.registry import ModelRegistry
from families.registry.report import DigestState, ModelReport, Status
from families.registry.served import found_aliases, leads_somewhere, open_alias

__all__ = [
    "SHIPPED_FILE",
    "VARIABLE_PREFIX",
    "Declarations",
    "DigestState",
    "ModelEntry",
    "ModelRegistry",
    "ModelReport",
    "RegistryError",
    "Status",
    "UnknownAlias",
    "UnservableAlias",
    "found_aliases",
    "leads_somewhere",
    "load_declarations",
    "open_alias",
]
