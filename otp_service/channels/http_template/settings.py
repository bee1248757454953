"""What an operator writes for one such channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from otp_service.channels.http_template.rules import Place, Rule


@dataclass(frozen=True, slots=True)
class HttpTemplateSettings:
    """One channel; templates and rules as they stand in the file, where they were checked."""

    name: str
    url: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    content_type: str
    encoding: str
    account: str
    password: str = field(repr=False)
    extno: str
    accept: tuple[Mapping[str, Any], ...]
    reject: tuple[Mapping[str, Any], ...]
    retry: tuple[Mapping[str, Any], ...]
    id: Mapping[str, Any] | str
    words: Mapping[str, Any] | str
    report_secrets: tuple[str, ...] = field(repr=False)
    answer_within: float
    deadline: float
    """Seconds, total, for one try."""
    proxy: str = field(default="", repr=False)

    def rules(self, key: str) -> tuple[Rule, ...]:
        """Of `accept`, `reject` or `retry`. Raises ConfigError naming the key."""
        return tuple(
            Rule.of(table, f"channels.{self.name}.{key}[{index}]") for index, table in enumerate(getattr(self, key))
        )

    def place(self, key: str) -> Place | None:
        """Of `id` or `words`, where it is given."""
        table = getattr(self, key)
        return Place.of(table, f"channels.{self.name}.{key}") if table else None
