"""Which tests there are, and which entry of the list of attacks each of them holds: read from their source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent
NUMBER = re.compile(r"\bT[0-9]{2}\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class NamedTest:
    name: str
    """`web/test_web_edge.py::test_two_requests_have_two_ids`, as the documents name it: no class, no `tests/`."""
    numbers: frozenset[str]
    """Of its own docstring, else of its module's."""
    has_full_size: bool
    """Whether it, or one of its parameters, is for the slow suite."""


def named_tests() -> dict[str, NamedTest]:
    found = (one for path in sorted(ROOT.rglob("test_*.py")) for one in _of(path))
    return {one.name: one for one in found}


def _of(path: Path) -> Iterator[NamedTest]:
    module = ast.parse(path.read_text("utf-8"))
    file = path.relative_to(ROOT).as_posix()
    theirs = _numbers(module)
    slow_file = any("pytest.mark.slow" in ast.unparse(node) for node in module.body if _is_pytestmark(node))
    for node in ast.walk(module):
        if isinstance(node, Function) and node.name.startswith("test_"):
            marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
            yield NamedTest(f"{file}::{node.name}", _numbers(node) or theirs, slow_file or "mark.slow" in marks)


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"


def _numbers(node: ast.Module | Function) -> frozenset[str]:
    return frozenset(NUMBER.findall(ast.get_docstring(node) or ""))
