"""The configuration file: read, checked, merged with environment and options, written with its comments kept.

Precedence: `--set section.key=value`, then `NEXUS_SECTION_KEY`, then `config.toml`, then the default. Reading uses
the standard library's parser, since every command reads; only writing loads `tomlkit`. A key that is not known is
refused with the nearest one, a value that does not fit is refused with its line.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.api.errors import UsageError
from node.profile.paths import folder_error, make_private_folder
from node.profile.settings import MESH, NODE, TOP, Section, Setting, SettingValue

MAX_BYTES = 1 << 20


class ConfigError(UsageError):
    """A configuration that cannot be used; the message names file, line and key."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("bad_config", message, hint)


@dataclass(frozen=True, slots=True)
class Known:
    """All settings that exist, by full name ("node.log_level"; top-level ones by their key)."""

    sections: tuple[Section, ...]

    @property
    def settings(self) -> dict[str, Setting]:
        """Every setting by full name, in the file's order."""
        return {_full(section.name, setting.key): setting for section in self.sections for setting in section.settings}

    def find(self, name: str) -> Setting:
        """The setting called `name`. Raises ConfigError with the nearest name if there is none."""
        setting = self.settings.get(name)
        if setting is None:
            raise ConfigError(f"There is no setting {name[:60]!r}.", self.nearest(name))
        return setting

    def nearest(self, name: str) -> str:
        """A hint which settings come closest to `name`."""
        import difflib

        names = list(self.settings)
        close = difflib.get_close_matches(name, names, 1, 0.75)
        if not close:
            last = name.rpartition(".")[2]
            close = [full for full in names if full.rpartition(".")[2] == last][:1]
        return f"Did you mean {close[0]!r}?" if close else "`nexus config get` lists them all."


@dataclass(frozen=True, slots=True)
class Config:
    """Checked values and where each came from ("option", "environment", "file" or "default")."""

    path: Path
    known: Known
    values: Mapping[str, SettingValue]
    sources: Mapping[str, str]

    def __getitem__(self, name: str) -> SettingValue:
        return self.values[name]

    def text(self, name: str) -> str:
        """A setting that is text."""
        value = self.values[name]
        assert isinstance(value, str), name
        return value

    def number(self, name: str) -> int:
        """A setting that is a whole number."""
        value = self.values[name]
        assert type(value) is int, name
        return value

    def flag(self, name: str) -> bool:
        """A setting that is true or false."""
        value = self.values[name]
        assert isinstance(value, bool), name
        return value


def load(
    path: Path,
    sections: Iterable[Section] = (),
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Config:
    """The configuration out of the file at `path` (which may be missing), environment and `--set` options.

    `sections` are those of the packages above the node. Raises ConfigError.
    """
    known = Known((TOP, NODE, MESH, *sections))
    settings = known.settings
    values: dict[str, SettingValue] = {name: setting.default for name, setting in settings.items()}
    sources = dict.fromkeys(values, "default")

    def take(name: str, value: SettingValue, source: str) -> None:
        values[name] = value
        sources[name] = source

    for name, value in _read_file(path, known).items():
        take(name, value, "file")
    environment = os.environ if environment is None else environment
    for name, setting in settings.items():
        variable = variable_of(name)
        text = environment.get(variable)
        if text:
            try:
                take(name, setting.parse(text), "environment")
            except ValueError as error:
                raise ConfigError(f"The environment variable {variable} {error}.") from None
    _refuse_unknown_variables(environment, known)
    for option in options:
        name, separator, text = option.partition("=")
        name = name.strip()
        if not separator or not name:
            raise ConfigError(
                f"--set needs section.key=value, not {option[:60]!r}.", "For example --set node.log_level=debug."
            )
        try:
            take(name, known.find(name).parse(text), "option")
        except ValueError as error:
            raise ConfigError(f"--set {name} {error}.") from None
    return Config(path, known, values, sources)


def _refuse_unknown_variables(environment: Mapping[str, str], known: Known) -> None:
    """A misspelt NEXUS_SECTION_KEY must not be taken for a setting that was made."""
    variables = {variable_of(name) for name in known.settings}
    for section in known.sections:
        beginning = variable_of(f"{section.name}.")
        for variable in sorted(environment) if section.name else ():
            if variable.startswith(beginning) and variable not in variables:
                name = f"{section.name}.{variable.removeprefix(beginning).lower()}"
                raise ConfigError(
                    f"The environment variable {variable[:80]} stands for no setting.", known.nearest(name)
                )


def variable_of(name: str) -> str:
    """The environment variable of a setting: `node.log_level` is NEXUS_NODE_LOG_LEVEL."""
    return "NEXUS_" + name.replace(".", "_").upper()


def _full(section: str, key: str) -> str:
    return f"{section}.{key}" if section else key


def _read_file(path: Path, known: Known) -> dict[str, SettingValue]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"The configuration {path} is larger than a megabyte; that cannot be right.")
    try:
        text = raw.decode()
        tables = tomllib.loads(text)
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration {path} is not UTF-8 text.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(
            f"The configuration {path} is not valid TOML: {reason}.",
            'Text needs quotes: key = "value". Moved away, it is created afresh.',
        ) from None
    settings = known.settings
    names = {section.name for section in known.sections if section.name}
    found: dict[str, SettingValue] = {}
    for name, value in _flatten(tables, names):
        setting = settings.get(name)
        if setting is None:
            kind = "section" if name in tables and isinstance(value, dict) else "key"
            raise ConfigError(
                f"{path}, line {line_of(text, name)}: there is no {kind} {name[:60]!r}.", known.nearest(name)
            )
        if wrong := setting.check(value):
            raise ConfigError(f"{path}, line {line_of(text, name)}: {name} {wrong}.")
        assert isinstance(value, (bool, int, str))
        found[name] = value
    return found


def _flatten(tables: dict[str, object], sections: set[str]) -> Iterable[tuple[str, object]]:
    for key, value in tables.items():
        if key in sections and isinstance(value, dict):
            for inner, setting in value.items():
                yield f"{key}.{inner}", setting
        else:
            yield key, value


_HEADER = re.compile(r"\s*\[\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*([\w.-]+)\s*=")


def line_of(text: str, name: str) -> int:
    """The line (from 1) on which `name` is set in a TOML text, or that of its section, or 1."""
    section, best = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        if match := _HEADER.match(line):
            section = match[1]
            if name in (section, section.split(".")[0]):
                return number
            if name.startswith(section + "."):
                best = number
        elif (match := _KEY.match(line)) and _full(section, match[1]) == name:
            return number
    return best


def template(known: Known) -> str:
    """The file as it is first written: every key with its comment, at its default."""
    lines: list[str] = []
    for section in known.sections:
        lines += [f"# {line}" for line in section.comment.splitlines()]
        if section.name:
            lines.append(f"[{section.name}]")
        for setting in section.settings:
            allowed = "" if isinstance(setting.default, str) and not setting.choices else f" ({setting.kind})"
            lines += [f"# {setting.comment}{allowed}", f"{setting.key} = {_toml(setting.default)}"]
        lines.append("")
    return "\n".join(lines)


def _toml(value: SettingValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    import json

    return json.dumps(value, ensure_ascii=False)


def create(path: Path, known: Known) -> bool:
    """Write the commented file if there is none. True if it was written. Raises NexusError if it cannot be."""
    if path.exists():
        return False
    make_private_folder(path.parent)
    _write(path, template(known))
    return True


def change(path: Path, known: Known, name: str, text: str) -> SettingValue:
    """Set one key in the file, all else and its comments kept. Returns the value. Raises ConfigError."""
    setting = known.find(name)
    try:
        value = setting.parse(text)
    except ValueError as error:
        raise ConfigError(f"{name} {error}. Nothing was changed.") from None
    create(path, known)
    # A file that is already wrong elsewhere is not made worse: it must be readable first.
    _read_file(path, known)
    import tomlkit

    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    section, _, key = name.rpartition(".")
    if section:
        if section not in document:
            document[section] = tomlkit.table()
        document[section][key] = value
    else:
        document[key] = value
    _write(path, tomlkit.dumps(document))
    return value


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, so that a reader or a power cut never meets half of it."""
    from tempfile import NamedTemporaryFile

    partial: Path | None = None
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".config-", delete=False) as file:
            partial = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        raise folder_error(error, path.parent) from None
