"""The registry: every declared alias, where its model is, and what it is."""

from collections.abc import Mapping
from pathlib import Path

from families.registry.declaration import Declarations, ModelEntry
from families.registry.hashes import BytesRead, HashCache
from families.registry.hashing import CACHE_FILE, Hasher
from families.registry.report import ModelReport
from families.registry.resolve import Resolution, resolve


class ModelRegistry:
    """Resolves aliases anew at every call: files come and go while a server runs. Close it to stop hashing."""

    def __init__(
        self,
        declarations: Declarations,
        roots: tuple[Path, ...],
        environment: Mapping[str, str],
        runtime_directory: Path,
    ) -> None:
        """`environment` holds the `TRIPTYCH_MODEL_*` variables; hashes are kept in `runtime_directory`."""
        self._declarations = declarations
        self._roots = roots
        self._environment = environment
        self._hasher = Hasher(HashCache(runtime_directory / CACHE_FILE))

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every declared alias."""
        return self._declarations.aliases

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong beside the models: variables that no alias has."""
        known = ", ".join(entry.variable for entry in self._declarations.models)
        strays = self._declarations.stray_variables(self._environment)
        return tuple(f"environment variable {name} belongs to no alias; known are {known}" for name in strays)

    def entry(self, alias: str) -> ModelEntry:
        """What is declared under this alias. Raises UnknownAlias."""
        return self._declarations.find(alias)

    def resolve(self, alias: str) -> Resolution:
        """Find one alias, nothing hashed. Raises UnknownAlias."""
        return resolve(self.entry(alias), self._roots, self._environment)

    def report(self, alias: str) -> ModelReport:
        """Resolve one alias; its digest may be pending, and is then computed meanwhile. Raises UnknownAlias.

        Touches the disk: call it off an event loop.
        """
        resolution = self.resolve(alias)
        if resolution.inventory is None:
            return resolution.report
        return resolution.report.model_copy(update={"digest": self._hasher.digest(resolution.inventory)})

    def hash_now(self, resolution: Resolution, on_bytes: BytesRead | None = None) -> ModelReport:
        """The report with its digest, however long that takes."""
        if resolution.inventory is None:
            return resolution.report
        return resolution.report.model_copy(update={"digest": self._hasher.digest_now(resolution.inventory, on_bytes)})

    def close(self) -> None:
        """Stop hashing in the background."""
        self._hasher.close()
