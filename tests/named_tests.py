"""Which tests there are, and which attacks (T01, …) and faults (F01, …) each of them holds: read from their source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
NUMBER = re.compile(r"\b[TF][0-9]{2}\b")
IN_NAME = re.compile(r"_([tf][0-9]{2})_")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class NamedTest:
    name: str
    """`web/test_web_edge.py::test_two_requests_have_two_ids`, as the documents name it: no class, no `tests/`."""
    numbers: frozenset[str]
    """Of its name and docstring, else of its class's docstring, else of its module's."""
    has_full_size: bool
    """Whether it, or one of its parameters, is for the slow suite."""


def named_tests() -> dict[str, NamedTest]:
    found = (one for path in sorted(ROOT.rglob("test_*.py")) for one in _of(path))
    return {one.name: one for one in found}


def _of(path: Path) -> Iterator[NamedTest]:
    module = ast.parse(path.read_text("utf-8"))
    file = path.relative_to(ROOT).as_posix()
    slow_file = any("pytest.mark.slow" in ast.unparse(node) for node in module.body if _is_pytestmark(node))
    for test, theirs in _tests(module.body, _numbers(module)):
        marks = " ".join(ast.unparse(mark) for mark in test.decorator_list)
        own = frozenset(found.upper() for found in IN_NAME.findall(test.name)) | _numbers(test)
        numbers = _nearest("T", own, theirs) | _nearest("F", own, theirs)
        yield NamedTest(f"{file}::{test.name}", numbers, slow_file or "mark.slow" in marks)


def _nearest(kind: str, own: frozenset[str], theirs: frozenset[str]) -> frozenset[str]:
    return frozenset(n for n in own if n[0] == kind) or frozenset(n for n in theirs if n[0] == kind)


def _tests(body: list[ast.stmt], theirs: frozenset[str]) -> Iterator[tuple[Function, frozenset[str]]]:
    """With the numbers of what they stand in."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            own = _numbers(node)
            yield from _tests(node.body, _nearest("T", own, theirs) | _nearest("F", own, theirs))
        elif isinstance(node, Function) and node.name.startswith("test_"):
            yield node, theirs


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def _numbers(node: ast.Module | ast.ClassDef | Function) -> frozenset[str]:
    return frozenset(NUMBER.findall(ast.get_docstring(node) or ""))
