"""`Section`: what every table of the file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table that takes no key that it does not know, and keeps its values out of every error."""

    # What checks a table is built with what checks the whole file, and not a second time for each table: 1 MB.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)
