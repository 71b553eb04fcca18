"""Reads setup.cfg, setup.py and PKG-INFO without running anything; only literal values are taken."""

from __future__ import annotations

import ast
import configparser
import re
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.toolbox.source_files import python_source, read_bytes, read_text

_EXTRA = re.compile(r"""\s*(?:and)?\s*\(?\s*extra\s*==\s*['"]([^'"]+)['"]\s*\)?\s*$""")


def read_setup_cfg(path: Path, problems: list[str]) -> dict[str, Any]:
    """What setup.cfg says; `attr:` and `file:` values are left out, for they need the project's code."""
    text = read_text(path, 1_000_000)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text or "")
    except configparser.Error as error:
        problems.append(f"setup.cfg cannot be parsed: {clean(error, 160)}")
        return {}

    def value(section: str, key: str) -> str | None:
        found = parser.get(section, key, fallback="").strip()
        return None if not found or found.startswith(("attr:", "file:")) else found

    def lines(section: str, key: str) -> tuple[str, ...]:
        return _lines(value(section, key) or "")

    extras = {}
    if parser.has_section("options.extras_require"):
        extras = {key: lines("options.extras_require", key) for key in parser["options.extras_require"]}
    return {
        "name": value("metadata", "name"),
        "version": value("metadata", "version"),
        "description": value("metadata", "description"),
        "license": value("metadata", "license"),
        "requires_python": value("options", "python_requires"),
        "dependencies": lines("options", "install_requires"),
        "extras": extras,
        "scripts": _entry_points(lines("options.entry_points", "console_scripts")),
    }


def read_setup_py(path: Path, problems: list[str]) -> dict[str, Any]:
    """The literal arguments of the `setup(…)` call."""
    text, reason = python_source(path)
    if text is None:
        problems.append(f"setup.py {reason}")
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problems.append(f"setup.py cannot be parsed: {clean(error, 160)}")
        return {}
    call = next(
        (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "setup"
        ),
        None,
    )
    if call is None:
        return {}
    given = {word.arg: _literal(word.value) for word in call.keywords if word.arg}
    extras = given.get("extras_require")
    entry_points = given.get("entry_points")
    scripts = entry_points.get("console_scripts") if isinstance(entry_points, dict) else None
    return {
        "name": given.get("name"),
        "version": given.get("version"),
        "description": given.get("description"),
        "license": given.get("license"),
        "requires_python": given.get("python_requires"),
        "dependencies": _requirements(given.get("install_requires")),
        "extras": {str(k): _requirements(v) for k, v in extras.items()} if isinstance(extras, dict) else {},
        "scripts": _entry_points(_requirements(scripts)),
        "use_scm_version": "use_scm_version" in given,
    }


def read_pkg_info(path: Path) -> dict[str, Any]:
    """The core metadata of an unpacked source distribution; empty when there is none."""
    raw = read_bytes(path, 4_000_000)
    if not raw:
        return {}
    message = BytesHeaderParser().parsebytes(raw)
    needed: list[str] = []
    extras: dict[str, tuple[str, ...]] = {str(name): () for name in message.get_all("Provides-Extra") or []}
    for line in message.get_all("Requires-Dist") or []:
        requirement, _, marker = str(line).partition(";")
        found = _EXTRA.search(marker)
        if found is None:
            needed.append(str(line))
        else:
            rest = marker[: found.start()].strip()
            entry = f"{requirement.strip()}; {rest}" if rest else requirement.strip()
            extras[found[1]] = (*extras.get(found[1], ()), entry)
    return {
        "name": _header(message, "Name"),
        "version": _header(message, "Version"),
        "description": _header(message, "Summary"),
        "license": _header(message, "License-Expression") or _header(message, "License"),
        "requires_python": _header(message, "Requires-Python"),
        "dependencies": tuple(needed),
        "extras": extras,
    }


def _header(message: Message, name: str) -> str | None:
    value = message.get(name)
    return None if value is None or str(value).strip() in ("", "UNKNOWN") else str(value).strip()


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _requirements(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return _lines(value)
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list | tuple) else ()


def _lines(text: str) -> tuple[str, ...]:
    return tuple(
        line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")
    )


def _entry_points(lines: tuple[str, ...]) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): target.strip() for name, target in pairs}
