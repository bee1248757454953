"""`Section`: what every table of the file has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table that takes no key that it does not know, and keeps its values out of every error."""

    # What checks a table is built with what checks the whole file, and not a second time for each table: 1 MB.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    def as_set(self, *left_out: str) -> dict[str, Any]:
        """Its keys and their values as they are. `model_dump` gives texts and numbers, but builds for each table what
        writes it, which a process then keeps."""
        return {key: getattr(self, key) for key in type(self).model_fields if key not in left_out}
