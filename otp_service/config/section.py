"""`Section`: what every table of the file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table that takes no key that it does not know, and keeps its values out of every error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
