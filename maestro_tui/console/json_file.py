"""Reads a JSON file of the store for showing: bounded, regular files only, with the reason when it cannot."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from maestro_tui.console.log_tail import open_regular
from maestro_tui.model.text import clean, format_bytes

MOST_BYTES = 67_108_864


def read_json(path: Path) -> tuple[Any, str | None]:
    """The value and None, or None and why it cannot be shown. For a thread."""
    try:
        descriptor = open_regular(path)
        try:
            size = os.fstat(descriptor).st_size
            if size > MOST_BYTES:
                return None, f"{clean(path.name)} is {format_bytes(size)}: too big to show as a tree."
            data = os.read(descriptor, size)
            while len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
        finally:
            os.close(descriptor)
    except OSError as error:
        return None, clean(f"{path.name} cannot be read: {error.strerror or error}.")
    try:
        return json.loads(data), None
    except (ValueError, RecursionError) as error:
        return None, clean(f"{path.name} is no JSON that can be shown: {type(error).__name__}.")
