"""Reads the user's settings (`~/.config/maestro-tui/config.toml`) and remembers the last sort and launch.

A wrong name in the settings is told in a sentence and left out; it never keeps the console from starting.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import StoreError
from maestro_tui.model.text import clean
from maestro_tui.store.retention import Retention, retention_from

_LIMIT = 1_000_000
_KNOWN = ("theme", "ascii", "read_only", "keys", "notify", "retention")
_NOTIFY = ("bell", "terminal", "command")


@dataclass(frozen=True, slots=True)
class Notify:
    """How to tell of a session that needs a look while the terminal is not focused: `[notify]`."""

    bell: bool = True
    terminal: bool = True
    """The terminal's own notification (OSC 9)."""
    command: tuple[str, ...] = ()
    """Program and arguments; the text comes as one more argument. No shell reads it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user set. `problems` are sentences about what could not be used."""

    theme: str | None = None
    ascii_only: bool = False
    read_only: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    """Action id → key names, separated by commas."""
    problems: tuple[str, ...] = ()
    notify: Notify = Notify()
    retention: Retention = field(default_factory=Retention)
    """What `prune` offers to remove first."""


def settings_path(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_CONFIG_HOME/maestro-tui/config.toml`, else under `~/.config`."""
    env = os.environ if environ is None else environ
    base = env.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "maestro-tui" / "config.toml"


def memory_path(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_STATE_HOME/maestro-tui/console.json`, else under `~/.local/state`."""
    env = os.environ if environ is None else environ
    base = env.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "maestro-tui" / "console.json"


def load_settings(path: Path, themes: Iterable[str], default_keys: Mapping[str, str]) -> Settings:
    """The settings in the file; the standard ones when there is none. Never raises for what is in it.

    `default_keys` maps every action id to its keys; it decides which names exist and which keys clash.
    """
    shown = clean(str(path), 200)
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LIMIT)
        import tomllib  # only when there are settings

        data = tomllib.loads(raw.decode("utf-8-sig"))
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        return Settings(problems=(f"Cannot read {shown}: {error.strerror}; the standard keys are used.",))
    except (ValueError, RecursionError) as error:
        return Settings(
            problems=(f"{shown} is not valid TOML: {clean(error, 160)}; the standard keys are used.",)
        )
    problems: list[str] = []
    for name in data:
        if name not in _KNOWN:
            problems.append(f"{shown}: {_no_such('setting', name, _KNOWN)}")
    theme = data.get("theme")
    names = tuple(themes)
    if theme is not None and theme not in names:
        problems.append(f"{shown}: {_no_such('theme', theme, names)}")
        theme = None
    flags: dict[str, bool] = {}
    for name in ("ascii", "read_only"):
        value = data.get(name, False)
        if not isinstance(value, bool):
            problems.append(f"{shown}: {name} must be true or false, not {clean(repr(value), 60)}.")
            value = False
        flags[name] = value
    keys = _keys(data.get("keys", {}), default_keys, shown, problems)
    notify = _notify(data.get("notify", {}), shown, problems)
    retention = retention_from(data.get("retention", {}), shown, problems)
    return Settings(theme, flags["ascii"], flags["read_only"], keys, tuple(problems), notify, retention)


def _notify(data: Any, shown: str, problems: list[str]) -> Notify:
    if not isinstance(data, dict):
        problems.append(f"{shown}: notify must be a table such as [notify] bell = false.")
        return Notify()
    for name in data:
        if name not in _NOTIFY:
            problems.append(f"{shown}: {_no_such('setting of notify', name, _NOTIFY)}")
    flags = {}
    for name in ("bell", "terminal"):
        flags[name] = data.get(name, True)
        if not isinstance(flags[name], bool):
            problems.append(
                f"{shown}: notify.{name} must be true or false, not {clean(repr(flags[name]), 60)}."
            )
            flags[name] = True
    command = data.get("command", [])
    words = isinstance(command, list) and all(isinstance(one, str) and "\0" not in one for one in command)
    if not words or (command and not command[0]):
        problems.append(
            f'{shown}: notify.command must be a list of words such as ["notify-send", "maestro"], '
            f"not {clean(repr(command), 60)}."
        )
        command = []
    return Notify(flags["bell"], flags["terminal"], tuple(command))


def _keys(data: Any, default_keys: Mapping[str, str], shown: str, problems: list[str]) -> dict[str, str]:
    if not isinstance(data, dict):
        problems.append(f'{shown}: keys must be a table such as [keys] resume = "r".')
        return {}
    chosen: dict[str, str] = {}
    for action, value in data.items():
        if action not in default_keys:
            problems.append(f"{shown}: {_no_such('action', action, tuple(default_keys))}")
            continue
        wanted = value if isinstance(value, list) else [value]
        names = [_key_name(one) for one in wanted]
        if not names or None in names:
            bad = next((one for one, name in zip(wanted, names, strict=True) if name is None), value)
            problems.append(
                f"{shown}: {clean(repr(bad), 60)} is no key for {action}; "
                'write a character such as "r", or a name such as "ctrl+r", "f5" or "enter".'
            )
            continue
        chosen[action] = ",".join(name for name in names if name is not None)
    users: dict[str, str] = {}
    for action, keys in {**default_keys, **chosen}.items():
        for key in keys.split(","):
            other = users.setdefault(key, action)
            if other != action:
                loser = action if action in chosen else other
                problems.append(
                    f"{shown}: {key} is the key of both {other} and {action}; {loser} keeps its own."
                )
                chosen.pop(loser, None)
    return chosen


def _key_name(value: object) -> str | None:
    """The screen library's name of a key; None when there is no such key."""
    from textual.keys import Keys, _character_to_key

    if not isinstance(value, str) or not value:
        return None
    if len(value) == 1:
        return _character_to_key(value) if value.isprintable() else None
    *modifiers, last = value.strip().split("+")
    if any(modifier not in ("ctrl", "shift", "alt") for modifier in modifiers):
        return None
    known = {key.value for key in Keys}
    if value in known or last in known or len(last) == 1 or _character_name(last):
        return value
    return None


def _character_name(name: str) -> bool:
    import unicodedata

    try:
        unicodedata.lookup(name.replace("_", " ").upper())
    except KeyError:
        return False
    return True


def _no_such(kind: str, name: object, known: tuple[str, ...]) -> str:
    import difflib  # only when something is wrong

    text = clean(str(name), 60)
    close = difflib.get_close_matches(text, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."
    return f'there is no {kind} "{text}"; {hint}'


class Memory:
    """What the console remembers between starts: a small JSON file that may be deleted at any time."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._data: dict[str, Any] = self._read()

    def get(self, name: str) -> Any:
        """The remembered value; None when there is none."""
        return self._data.get(name)

    def put(self, name: str, value: Any) -> str | None:
        """Remember a JSON value; a sentence when it could not be written."""
        if self._data.get(name) == value:
            return None
        self._data[name] = value
        if self.path is None:
            return None
        from maestro_tui.store.durable import make_dir, replace

        try:
            make_dir(self.path.parent)
            replace(self.path, (json.dumps(self._data, indent=2) + "\n").encode())
        except (OSError, StoreError) as error:
            return f"This could not be remembered for the next start: {clean(error, 200)}"
        return None

    def _read(self) -> dict[str, Any]:
        if self.path is None:
            return {}
        try:
            with self.path.open("rb") as stream:
                data = json.loads(stream.read(_LIMIT))
        except (OSError, ValueError, RecursionError):
            # Nothing depends on it: a lost or damaged memory is the same as a first start.
            return {}
        return data if isinstance(data, dict) else {}


_LAUNCHES = 50
"""Checkpoint directories whose last launch is remembered."""


def last_launch(memory: Memory, root: Path) -> object:
    """What was launched last in a checkpoint directory; None when nothing was. Others do not count."""
    known = memory.get("launches")
    return known.get(str(root)) if isinstance(known, dict) else None


def remember_launch(memory: Memory, root: Path, form: Mapping[str, object]) -> str | None:
    """Remember a launch for its checkpoint directory; a sentence when it could not be written."""
    known = memory.get("launches")
    others = {one: kept for one, kept in known.items() if one != str(root)} if isinstance(known, dict) else {}
    newest = dict(list(others.items())[-(_LAUNCHES - 1) :])
    return memory.put("launches", {**newest, str(root): dict(form)})
