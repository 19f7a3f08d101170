"""Which rows may share a batch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of one bucket have equal shapes. Deterministic rows keep to themselves, in batches of one fixed size.

    `condition_shapes`: each condition's shape without its leading axis, in the signature's order.
    """

    latent_shape: tuple[int, int, int]
    condition_shapes: tuple[tuple[int, ...], ...]
    deterministic: bool = False

    @property
    def cells(self) -> int:
        """Latent cells of one row; compute and activation memory grow with it."""
        return self.latent_shape[1] * self.latent_shape[2]


@dataclass(frozen=True, slots=True)
class RowLimits:
    """Hard limits of a batch. `max_rows` holds at `reference_cells`, the model's default size."""

    max_rows: int
    deterministic_rows: int
    reference_cells: int

    def hard(self, bucket: Bucket) -> int:
        """The most rows a batch of this bucket may have. Larger pictures get fewer, at least one guided image's two."""
        scaled = self.max_rows * self.reference_cells // bucket.cells
        rows = max(2, min(self.max_rows, scaled))
        return min(rows, max(2, self.deterministic_rows)) if bucket.deterministic else rows
