"""Which sizes of pictures a vision model takes, and how any picture is brought to one of them."""

from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


@dataclass(frozen=True, slots=True)
class Fit:
    """A picture is resized to `height` x `width`, never squashed, and padded below and on the right to the `padded`."""

    height: int
    width: int
    padded_height: int
    padded_width: int


class VisionSize(BaseModel):
    """Sides in pixels: multiples of `multiple` from `minimum` to `maximum`, or always the one `fixed` height and width.

    Larger pictures are shrunk to fit; smaller ones keep their size and are padded, or with `fixed` are enlarged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    multiple: int = Field(default=1, ge=1)
    minimum: int = Field(default=1, ge=1)
    maximum: int = Field(default=4096, ge=1, le=8192)
    fixed: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.fixed is not None and min(self.fixed) < 1:
            raise ValueError("fixed: height and width must be at least 1")
        if self.minimum > self.maximum or self.maximum % self.multiple or self.minimum % self.multiple:
            raise ValueError("minimum and maximum must be multiples of 'multiple', the maximum not below the minimum")
        return self

    def allows(self, height: int, width: int) -> bool:
        """Whether a graph may be shown pictures of this size."""
        if self.fixed is not None:
            return (height, width) == self.fixed
        return all(self.minimum <= side <= self.maximum and side % self.multiple == 0 for side in (height, width))

    def fit(self, height: int, width: int) -> Fit:
        """For a picture of any size from 1x1."""
        if self.fixed is not None:
            scale = min(self.fixed[0] / height, self.fixed[1] / width)
            rows, columns = _scaled(height, scale), _scaled(width, scale)
            return Fit(min(rows, self.fixed[0]), min(columns, self.fixed[1]), *self.fixed)
        scale = min(1.0, self.maximum / max(height, width))
        rows, columns = _scaled(height, scale), _scaled(width, scale)
        return Fit(rows, columns, self._padded(rows), self._padded(columns))

    def describe(self) -> str:
        """For messages."""
        if self.fixed is not None:
            return f"exactly {self.fixed[0]}x{self.fixed[1]} (height x width)"
        return f"multiples of {self.multiple} from {self.minimum} to {self.maximum}"

    def _padded(self, side: int) -> int:
        return max(self.minimum, -(-side // self.multiple) * self.multiple)


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))
