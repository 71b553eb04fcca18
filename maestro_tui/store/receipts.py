"""Receipts of personas that finished within an attempt: kept durably, so that their work is not paid for twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maestro_tui.model.errors import DamagedFile
from maestro_tui.store import durable
from maestro_tui.store.workspace import CHANGES, FileChange

RECEIPTS = "receipts"
RECEIPT_LIMIT = 64_000_000
"""Bytes of one receipt that are read."""
FORMAT = "maestro-receipt/1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one persona was given, what it left, and what it reported. `result` holds JSON values only."""

    phase: str
    attempt: int
    persona: str
    step: str
    """`work`, or in a collaboration `comment-1`, `revise-1`, …"""
    given: str
    """SHA-256 over everything that it was given."""
    untouched: Mapping[str, str] = field(default_factory=dict)
    """Path → SHA-256 of the workspace's files that it found and left as they were."""
    left: Sequence[FileChange] = ()
    """What it left new, changed or deleted."""
    result: Mapping[str, Any] = field(default_factory=dict)


def save_receipt(session_dir: Path, receipt: Receipt) -> None:
    """Write it; it is on disk on return. Raises `StoreError`."""
    folder = session_dir / RECEIPTS
    durable.make_dir(folder)
    data = {"format": FORMAT, **asdict(receipt)}
    durable.replace(
        folder / _name(receipt.phase, receipt.attempt, receipt.persona, receipt.step),
        json.dumps(data, separators=(",", ":"), ensure_ascii=True).encode(),
    )


def load_receipt(session_dir: Path, phase: str, attempt: int, persona: str, step: str) -> Receipt | None:
    """The receipt; None when there is none, or when it cannot be used: then the work is simply done again."""
    path = session_dir / RECEIPTS / _name(phase, attempt, persona, step)
    try:
        data = json.loads(durable.read_regular(path, RECEIPT_LIMIT))
        if data.pop("format") != FORMAT:
            return None
        receipt = Receipt(**{**data, "left": [FileChange(**one) for one in data["left"]]})
    except (
        FileNotFoundError,
        DamagedFile,
        ValueError,
        RecursionError,
        LookupError,
        TypeError,
        AttributeError,
    ):
        return None
    return receipt if _is_sound(receipt, phase, attempt, persona, step) else None


def drop_receipts(session_dir: Path, phase: str) -> None:
    """Remove a phase's receipts once its outcome is committed for good. Raises `StoreError`."""
    folder = session_dir / RECEIPTS
    if not folder.is_dir():
        return
    with durable.told("remove receipts in", folder):
        for entry in list(folder.iterdir()):
            if entry.name.startswith(f"{phase}~"):
                entry.unlink()


def _name(phase: str, attempt: int, persona: str, step: str) -> str:
    return f"{phase}~{attempt}~{persona}~{step}.json"


def _is_sound(receipt: Receipt, phase: str, attempt: int, persona: str, step: str) -> bool:
    return (
        (receipt.phase, receipt.attempt, receipt.persona, receipt.step) == (phase, attempt, persona, step)
        and isinstance(receipt.given, str)
        and all(isinstance(one, dict) for one in (receipt.untouched, receipt.result))
        and all(isinstance(one.path, str) and isinstance(one.sha256, str) for one in receipt.left)
        and all(type(one.size) is int and one.change in CHANGES for one in receipt.left)
    )
