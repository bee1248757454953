"""Where values come from: the TOML file, the environment on top of it, files that hold secrets."""

from __future__ import annotations

import re
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError

from otp_service.config import explain
from otp_service.config.model import Config
from otp_service.config.recipients import KEYS as LIST_KEYS
from otp_service.config.sections import BUILT_IN_PURPOSES
from otp_service.errors import ConfigError

Tables = dict[str, Any]
"""A TOML document, before it is checked."""

Seen = Callable[[Path], object]
"""Told every file of a configuration, just before it is read."""

_VARIABLE = re.compile(r"OTP_(.*?)__(.*)", re.IGNORECASE | re.DOTALL)


def load(path: Path | None, environ: Mapping[str, str], seen: Seen = lambda file: None) -> Config:
    """The configuration of the file at `path` (None: no file) with `environ` on top. Raises ConfigError."""
    if path is None:
        return parse({}, environ, Path(), seen)
    seen(path)
    return parse(read_tables(path), environ, path.parent, seen)


def read_tables(path: Path) -> Tables:
    """The file's tables as they stand. Raises ConfigError when it can't be read or is no TOML."""
    try:
        return read_text(path.read_text("utf-8-sig"), path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; give a file with --config or OTP_CONFIG") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8; save it in that encoding") from error


def read_text(text: str, path: Path) -> Tables:
    """The tables of a document; `path` names it in errors. Raises ConfigError when it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def merge(under: Tables, over: Tables) -> Tables:
    """`over` on top of `under`, table by table and key by key; a list replaces the list below it."""
    merged = dict(under)
    for key, value in over.items():
        merged.pop(_twin(key), None)
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def parse(tables: Tables, environ: Mapping[str, str], folder: Path, seen: Seen = lambda file: None) -> Config:
    """Check `tables` with `environ` on top; `folder` is where relative `…_file` paths of the file begin.

    Raises ConfigError with every fault that was found, one a line.
    """
    reading = _Reading(tables, folder, seen)
    for variable in sorted(environ):
        # Kubernetes' service links (OTP_SERVICE_PORT) have no double underscore, and OTP_CONFIG neither.
        if match := _VARIABLE.fullmatch(variable):
            reading.overlay(variable, [part.lower() for part in (match[1], *match[2].split("__"))], environ[variable])
    reading.read_secret_files(Config, reading.tables, ())
    reading.place_list_files()
    return reading.config()


class _Reading:
    """One reading of the configuration, and the faults that it met."""

    def __init__(self, tables: Tables, folder: Path, seen: Seen) -> None:
        self.tables: Tables = _copy(tables)
        self._folder = folder
        self._seen = seen
        self._faults: list[str] = []
        self._variables: dict[explain.Path, str] = {}
        self._unread: set[explain.Path] = set()
        """Secrets whose files gave none: that fault is said, and what follows from it is not."""

    def overlay(self, variable: str, words: list[str], value: str) -> None:
        """Put one variable's value in its place."""
        here: Any = self.tables
        path: explain.Path = ()
        for word in words[:-1]:
            step = self._step(here, path, word, variable)
            if step is None:
                return
            key, here = step
            path = (*path, key)
        if not isinstance(here, dict):
            self._refuse_key(variable, path)
            return
        key = _spelling(here, words[-1])
        here.pop(_twin(key), None)
        if self._variables.pop((*path, _twin(key)), None):
            self._faults.append(f"{variable}: given with _FILE and without; give one of the two")
        here[key] = value
        self._variables[(*path, key)] = variable

    def _step(self, here: Any, path: explain.Path, word: str, variable: str) -> tuple[str | int, Any] | None:
        if isinstance(here, dict):
            key = _spelling({**here, **dict.fromkeys(BUILT_IN_PURPOSES)} if path == ("purposes",) else here, word)
            if path == ("purposes",) and key not in {*here, *BUILT_IN_PURPOSES}:
                self._refuse_name(variable, path, word, [*BUILT_IN_PURPOSES, *here])
                return None
            return key, here.setdefault(key, [] if not path and key in Config.named_lists() else {})
        if isinstance(here, list):
            return self._item(here, path, word, variable)
        self._refuse_key(variable, path)
        return None

    def _refuse_key(self, variable: str, path: explain.Path) -> None:
        what = "is a value, it has no keys"
        if len(path) == 1 and path[0] in Config.named_lists():
            what = f"is a list; name one of it and a key, as OTP_{str(path[0]).upper()}__<NAME>__<KEY>"
        self._faults.append(f"{variable}: {explain.show(path, self.tables)} {what}")

    def _item(self, items: list[Any], path: explain.Path, word: str, variable: str) -> tuple[int, Any] | None:
        """The item of that name; where no file named any, the environment may bring its own."""
        names = [str(item.get("name", "")) for item in items if isinstance(item, dict)]
        for index, item in enumerate(items):
            if isinstance(item, dict) and _plain(str(item.get("name", ""))) == _plain(word):
                return index, item
        if names and (*path, len(items) - 1, "name") not in self._variables:
            self._refuse_name(variable, path, word, names)
            return None
        items.append({"name": word})
        self._variables[(*path, len(items) - 1, "name")] = variable
        return len(items) - 1, items[-1]

    def _refuse_name(self, variable: str, path: explain.Path, word: str, names: list[str]) -> None:
        """The environment does not bring new names beside the file's: most are misspelt ones."""
        kind, known = explain.show(path, self.tables), ", ".join(dict.fromkeys(names))
        self._faults.append(
            f"{variable}: {kind} has none called {word!r}; there are {known}{explain.nearest(word, names)}"
        )

    def read_secret_files(self, model: type[BaseModel], table: Any, path: explain.Path) -> None:
        """Put the content of every file that a `…_file` key names in the place of the secret itself."""
        if not isinstance(table, dict):
            return
        for name, field in model.model_fields.items():
            annotation = explain.plain(field.annotation)
            if _holds_secret(annotation):
                self._read_secret_file(table, name, path)
            elif name in table:
                for key, inner, value in _tables_in(annotation, table[name]):
                    self.read_secret_files(inner, value, (*path, name, *key))

    def _read_secret_file(self, table: Tables, name: str, path: explain.Path) -> None:
        twin = f"{name}_file"
        if twin not in table:
            return
        where = explain.show((*path, twin), self.tables)
        file = table.pop(twin)
        variable = self._variables.get((*path, twin))
        if name in table:
            self._faults.append(f"{where}: {name} is given as well; give one of the two")
        elif not isinstance(file, str):
            self._faults.append(f"{where}: not text in quotes; write the path of a file")
            self._unread.add((*path, name))
        else:
            self._variables.update({(*path, name): variable} if variable else {})
            content = self._content(Path(file) if variable else self._folder / file, where)
            if content is None:
                self._unread.add((*path, name))
            else:
                table[name] = content

    def place_list_files(self) -> None:
        """A list's file that the file names begins where that file lies; one that the environment names does not."""
        clients = self.tables.get("clients")
        self._place(self.tables.get("recipients"), ("recipients",))
        for index, client in enumerate(clients if isinstance(clients, list) else ()):
            self._place(client, ("clients", index))

    def _place(self, table: Any, path: explain.Path) -> None:
        for key in (f"{key}_file" for key in LIST_KEYS):
            file = table.get(key) if isinstance(table, dict) else None
            if isinstance(file, str) and file:
                if (*path, key) not in self._variables:
                    table[key] = str(self._folder / file)
                self._seen(Path(table[key]))

    def _content(self, file: Path, where: str) -> str | None:
        self._seen(file)
        try:
            return file.read_text("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            self._faults.append(f"{where}: can't read {file}: {error.strerror}")
        except UnicodeDecodeError:
            self._faults.append(f"{where}: {file} is not UTF-8 text")
        return None

    def config(self) -> Config:
        try:
            config = _checks().validate_python(self.tables)
        except ValidationError as error:
            self._faults += explain.explain(Config, error, self.tables, self._variables, self._unread)
        else:
            self._faults += config.contradictions()
        if self._faults:
            raise ConfigError("\n".join(dict.fromkeys(self._faults)))
        return config


@lru_cache(maxsize=1)
def _checks() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def forget_checks() -> None:
    """What checks a configuration takes 2 MB; it is built in 0.1 s when the next one is read."""
    _checks.cache_clear()


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def _spelling(table: Mapping[str, Any], word: str) -> str:
    """The key of the table that the variable's word means: variables have neither hyphens nor case."""
    return next((key for key in table if _plain(key) == word), word)


def _twin(key: str) -> str:
    """The other way to give this key; "" for a list, which may stand in the file and in one of its own."""
    if key.removesuffix("_file") in LIST_KEYS:
        return ""
    return key.removesuffix("_file") if key.endswith("_file") else f"{key}_file"


def _holds_secret(annotation: Any) -> bool:
    annotation = explain.plain(annotation)
    return annotation is SecretStr or any(_holds_secret(inner) for inner in typing.get_args(annotation))


def _tables_in(annotation: Any, value: Any) -> Iterator[tuple[explain.Path, type[BaseModel], Any]]:
    """Every table of our own that stands under a key: itself, the items of a list, the values of a table."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield (), annotation, value
        return
    items = list(enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ())
    for inner in (explain.plain(arg) for arg in typing.get_args(annotation)):
        for key, item in items:
            model = explain.table_of(inner, item) if isinstance(item, dict) else inner
            if isinstance(model, type) and issubclass(model, BaseModel):
                yield (key,), model, item
