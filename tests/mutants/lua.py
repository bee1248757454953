"""Small faults of a Lua script: operators swapped, numbers and words changed, statements left out, ifs negated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*)|(?P<string>'[^'\n]*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)"
    r"|(?P<operator>\.\.|[<>=~]=|[<>=+\-*/%^#(){}\[\],;:])"
)
_OPERATORS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("~=",),
    "~=": ("==",),
    "and": ("or",),
    "or": ("and",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
}
_LONG = 1000
"""Numbers from here on are spans: they are halved and doubled, as a millisecond more or less is no fault."""
_STATEMENT = re.compile(
    r"^(?:redis\.call|count_in|finish|emit|deliver_state|queue|send|table\.sort)\(|^[\w.\[\], ]+ = "
)
_ONE_LINE_IF = re.compile(r"^(?:if|for) .* end$")
_CONDITION = re.compile(r"\b(if|elseif) (.*?) then\b")


@dataclass(frozen=True, slots=True)
class Mutant:
    script: str
    line: int
    before: str
    """The line as it is, without its indentation; `after` is what it becomes."""
    after: str
    text: str
    """The whole file with the fault."""

    def __str__(self) -> str:
        return f"{self.script}:{self.line}: {self.before}  =>  {self.after or '(left out)'}"


def mutants(script: str, text: str) -> Iterator[Mutant]:
    """Each fault once; some are no Lua any more, which whoever loads them sees."""
    seen = set()
    for start, end, new in (*_words(text), *_conditions(text), *_statements(text)):
        changed = text[:start] + new + text[end:]
        if changed not in seen:
            seen.add(changed)
            line = text.count("\n", 0, start) + 1
            last = line + text.count("\n", start, end)
            before = " ".join(part.strip() for part in text.split("\n")[line - 1 : last])
            after = " ".join(
                part.strip() for part in changed.split("\n")[line - 1 : last - text[start:end].count("\n")]
            )
            yield Mutant(script, line, before, after, changed)


def _words(text: str) -> Iterator[tuple[int, int, str]]:
    previous = ""
    for match in _TOKEN.finditer(text):
        token = match.group()
        for new in _instead_of(match, previous, text):
            yield match.start(), match.end(), new
        if match.lastgroup != "comment":
            previous = token


def _instead_of(match: re.Match[str], previous: str, text: str) -> tuple[str, ...]:
    token = match.group()
    match match.lastgroup:
        case "number":
            return _other_numbers(token)[: 1 if text[: match.start()].endswith("[") else 2]
        case "string":
            # A command that is none fails at once, and shows nothing.
            command = text[: match.start()].endswith(("redis.call(", "string.format("))
            return () if command else (f"'{token[1:-1]}!'",)
        case "name" if token == "not":
            return ("",)
        case "operator" if token == "-" and (not previous or previous in "(,={" or previous == "return"):
            return ("",)
        case "operator" | "name":
            return _OPERATORS.get(token, ())
    return ()


def _other_numbers(token: str) -> tuple[str, ...]:
    if "." in token:
        return (f"({token} * 2)", f"({token} / 2)")
    number = int(token)
    if number >= _LONG:
        return (str(number * 2), str(number // 2))
    return (str(number + 1), str(number - 1)) if number else ("1",)


def _conditions(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _CONDITION.finditer(text):
        if not match.group(2).startswith("not "):
            yield match.start(2), match.end(2), f"not ({match.group(2)})"


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """Statements that stand on lines of their own, calls over several lines among them."""
    lines = text.split("\n")
    at = 0
    for n, line in enumerate(lines):
        start, at = at + len(line) - len(line.lstrip()), at + len(line) + 1
        code = line.strip()
        if _STATEMENT.match(code) or _ONE_LINE_IF.match(code):
            end, depth, more = at - 1, code.count("(") - code.count(")"), n
            while depth > 0:
                more += 1
                depth += lines[more].count("(") - lines[more].count(")")
                end += len(lines[more]) + 1
            yield start, end, ""
