"""What a request says of an adapter."""

from dataclasses import dataclass
from pathlib import Path

from families.manifest import Component


@dataclass(frozen=True, slots=True)
class LoraUse:
    """An adapter by its name in the model's folder, and how strongly it acts."""

    name: str
    scale: float


@dataclass(frozen=True, slots=True)
class MergedLora:
    """An adapter file that becomes part of the weights of these components."""

    path: Path
    scale: float
    components: frozenset[Component]

    def changes(self, component: Component) -> bool:
        """Whether the component is one of these."""
        return component in self.components
