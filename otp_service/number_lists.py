"""Lists of numbers and beginnings of numbers: who is never sent to, and who is whatever else is set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

ANY_END = "*"
"""Ends an entry that stands for every number with that beginning."""


class Entry(NamedTuple):
    """The entry that speaks of a number."""

    length: int
    """Characters of the number that it names: the longer, the more exact."""
    setting: str
    """The key of the configuration that it comes from."""


class Verdict(NamedTuple):
    """What the lists say of a number."""

    blocks: bool
    setting: str


@dataclass(frozen=True, slots=True, repr=False)
class NumberList:
    """Looking a number up costs a few steps however long the list is: one for each length of beginning in it."""

    numbers: Mapping[str, str] = field(default_factory=dict)
    """E.164 → setting."""
    beginnings: Mapping[str, str] = field(default_factory=dict)
    """`+8617` → setting."""
    lengths: tuple[int, ...] = ()
    """Of the beginnings, the longest first."""

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str]]) -> NumberList:
        """From pairs of entry (`+8613800138000`, or `+8617*`) and setting; of equal entries the first counts."""
        numbers: dict[str, str] = {}
        beginnings: dict[str, str] = {}
        for entry, setting in entries:
            if entry.endswith(ANY_END):
                beginnings.setdefault(entry.removesuffix(ANY_END), setting)
            else:
                numbers.setdefault(entry, setting)
        return cls(numbers, beginnings, tuple(sorted({len(one) for one in beginnings}, reverse=True)))

    def find(self, e164: str) -> Entry | None:
        """The most exact entry that covers the number."""
        if setting := self.numbers.get(e164):
            return Entry(len(e164) + 1, setting)
        for length in self.lengths:
            if setting := self.beginnings.get(e164[:length]):
                return Entry(length, setting)
        return None

    def __len__(self) -> int:
        return len(self.numbers) + len(self.beginnings)

    def __repr__(self) -> str:
        return f"NumberList({len(self)} entries)"


@dataclass(frozen=True, slots=True)
class Lists:
    """What one client, or the whole installation, blocks and allows."""

    block: NumberList = field(default_factory=NumberList)
    allow: NumberList = field(default_factory=NumberList)


def judge(lists: Iterable[Lists], e164: str) -> Verdict | None:
    """The most exact entry decides; of two alike, the one that blocks. None where no list speaks of the number."""
    found = [
        (entry.length, blocks, entry.setting)
        for one in lists
        for blocks, entry in ((True, one.block.find(e164)), (False, one.allow.find(e164)))
        if entry
    ]
    if not found:
        return None
    _, blocks, setting = max(found)
    return Verdict(blocks, setting)
