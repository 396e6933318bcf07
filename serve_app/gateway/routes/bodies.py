"""What bodies are made of: types are JSON's own, and nothing in them is unknown."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from serve_app.directory import LimitsSettings
from serve_app.tenancy.limits import Limits

STORABLE = r"^[^\x00]*$"
"""Text that every database takes. A pattern also makes pydantic refuse halves of surrogate pairs,
which no answer could repeat."""

Storable = Annotated[str, Field(pattern=STORABLE)]
Text = Annotated[Storable, Field(max_length=255)]
LongText = Annotated[Storable, Field(max_length=1000)]
Source = Annotated[Storable, Field(min_length=1, max_length=2048)]
Name = Annotated[Storable, Field(min_length=1, max_length=200)]
"""Of something that whoever looks it up may not find."""


class Body(BaseModel):
    """A body's fields have the types its document says: ``"no"`` and ``1`` are no booleans."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LimitsBody(LimitsSettings):
    """As ``LimitsSettings``."""

    model_config = ConfigDict(strict=True)

    @property
    def limits(self) -> Limits:
        """As control takes them."""
        return Limits(**self.model_dump())
