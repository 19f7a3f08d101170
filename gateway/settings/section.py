"""What all sections share."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Keys that nobody knows are errors, and what was read stays."""

    model_config = ConfigDict(extra="forbid", frozen=True)
