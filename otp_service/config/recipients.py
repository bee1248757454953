"""`[recipients]`: who may receive, beyond the regions. Lists in the file, or in files of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BeforeValidator, Field

from otp_service.config.fields import Items
from otp_service.config.section import Section
from otp_service.errors import InvalidRecipient
from otp_service.number_lists import ANY_END, Lists, NumberList
from otp_service.policy import EVERYBODY
from otp_service.recipient import NEVER_SENT, LineType, parse

if TYPE_CHECKING:
    from otp_service.config.model import Config

KEYS = ("block", "allow")
_MOST_FAULTS = 5
"""Told of one list: a file in another format than ours is wrong in every line."""
_ENTRIES = '["+8613800138000", "+8617*"]: numbers, and with a * all numbers that begin so'
_FILE = 'the path of a file: one number or beginning ("+8617*") a line, # for a comment'
_BEGINNING = re.compile(r"\+[1-9][0-9]{0,14}")
_PLAIN_CHINESE = re.compile(r"\+861[3-9][0-9]{9}")
"""Has one spelling only, so that it needs no parsing: a list of 10^5 would delay each start by seconds."""


class ListFile(NamedTuple):
    name: str
    lines: tuple[str, ...]


def _read(value: object) -> object:
    """The file's lines. Raises ValueError."""
    if not isinstance(value, str) or not value:
        raise ValueError("not text in quotes")
    try:
        return ListFile(Path(value).name, tuple(Path(value).read_text("utf-8-sig").splitlines()))
    except OSError as error:
        raise ValueError(f"can't read {value}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{value} is not UTF-8 text") from None


Entries = Annotated[tuple[str, ...], Items]
NumberFile = Annotated[ListFile, BeforeValidator(_read)]


class WithLists(Section):
    """A table that may hold lists of numbers."""

    block: Entries = Field((), repr=False, description=_ENTRIES)
    block_file: NumberFile | None = Field(None, repr=False, description=_FILE)
    allow: Entries = Field((), repr=False, description=_ENTRIES)
    allow_file: NumberFile | None = Field(None, repr=False, description=_FILE)

    def entries(self, key: str) -> Iterator[tuple[str, str, str]]:
        """Of `block` or `allow`: where it stands, the key, and what is written there."""
        for index, entry in enumerate(getattr(self, key)):
            yield f"{key}[{index}]", key, entry
        file: ListFile | None = getattr(self, f"{key}_file")
        for number, line in enumerate(file.lines if file else (), 1):
            if entry := line.partition("#")[0].strip():
                yield f"{key}_file: line {number} of {file.name if file else ''}", f"{key}_file", entry


class LineTypes(Section):
    """Those that are a matter of taste: what a team's people have, and what its gateways reach."""

    voip: bool = Field(True, description="true or false: numbers of internet telephones")
    fixed_line: bool = Field(False, description="true or false: true where your gateways reach landlines")


class Recipients(WithLists):
    line_types: LineTypes = LineTypes()

    def refused_lines(self) -> frozenset[LineType]:
        set_here = {LineType.VOIP: self.line_types.voip, LineType.FIXED_LINE: self.line_types.fixed_line}
        return (NEVER_SENT - set_here.keys()) | {kind for kind, taken in set_here.items() if not taken}


def lists_of(config: Config) -> tuple[Mapping[str, Lists], list[str]]:
    """The lists of each client that has some, and of EVERYBODY; and what is wrong with them, one line each."""
    tables: list[tuple[str, str, WithLists]] = [(EVERYBODY, "recipients", config.recipients)]
    tables += [(client.name, f"clients.{client.name}", client) for client in config.clients]
    found: dict[str, Lists] = {}
    faults: list[str] = []
    for who, where, table in tables:
        block, allow = (_list(table, key, where, config.service.default_region, faults) for key in KEYS)
        for ours, theirs in ((block.numbers, allow.numbers), (block.beginnings, allow.beginnings)):
            if both := ours.keys() & theirs.keys():
                faults.append(f"{where}: {len(both)} entries are in both block and allow; take each out of one")
        if block or allow:
            found[who] = Lists(block, allow)
    return found, faults


def _list(table: WithLists, key: str, where: str, default_region: str, faults: list[str]) -> NumberList:
    entries, wrong = [], []
    for place, setting, written in table.entries(key):
        try:
            entries.append((_entry(written, default_region), f"{where}.{setting}"))
        except InvalidRecipient as error:
            wrong.append(f"{where}.{place}: {error.detail}")
    faults += wrong[:_MOST_FAULTS]
    if len(wrong) > _MOST_FAULTS:
        faults.append(f"{where}.{key}: {len(wrong) - _MOST_FAULTS} more entries are wrong")
    return NumberList.of(entries)


def _entry(written: str, default_region: str) -> str:
    """As `NumberList` takes it. Raises InvalidRecipient, which does not repeat what was written."""
    if _PLAIN_CHINESE.fullmatch(written):
        return written
    if not written.endswith(ANY_END):
        try:
            return parse(written, default_region).e164
        except InvalidRecipient as error:
            mend = f'{error.detail} All numbers with one beginning are written with a *, as "+8617*".'
            raise InvalidRecipient(mend) from None
    beginning = re.sub(r"[ ()-]", "", written.removesuffix(ANY_END))
    if not _BEGINNING.fullmatch(beginning):
        raise InvalidRecipient('Write the beginning of a number with + and its country code, as "+8617*".')
    return beginning + ANY_END
