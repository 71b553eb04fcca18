"""What the readers must do with any bytes at all: raise only what they say they raise, and agree with each other."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from maestro_tui.model.checkpoint import decode
from maestro_tui.model.checkpoint_bytes import HEAD
from maestro_tui.model.errors import DamagedFile
from maestro_tui.performers.command_result import BadResult, read_result
from maestro_tui.store.briefs import load_briefs
from maestro_tui.store.commit_facts import facts_of
from maestro_tui.store.fold import JournalFold
from maestro_tui.store.heads import read_head
from maestro_tui.store.index_file import load_index
from maestro_tui.store.journal import read_events
from maestro_tui.store.logs import parse_log_line
from maestro_tui.store.runner_file import owner_of, parse_lease
from tests.store.small_sessions import sealed

NOW = 1_800_000_000.0
_BASE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_FOLDER = Path(tempfile.mkdtemp(prefix="maestro-fuzz-", dir=_BASE))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
_CRC = b'{"crc":"'


def one_line(text: str) -> None:
    """A line for people."""
    assert text.isprintable(), repr(text[:200])
    assert len(text) < 2_000, len(text)


def checkpoint(data: bytes) -> None:
    """With its digest made right where it has one: what the engine takes, the list takes, and nothing breaks."""
    head = HEAD.match(data)
    if head is not None:
        data = sealed(data)
    folder = _FOLDER / "s1"
    (folder / "history").mkdir(parents=True, exist_ok=True)
    path = folder / "history" / "0003.json"
    path.write_bytes(data)
    taken = None
    try:
        taken = decode(data, "0003.json")
    except DamagedFile as error:
        one_line(str(error))
    if taken is not None and (taken.session_id != "s1" or taken.seq != 3 or taken.context.session_id != "s1"):
        taken = None
    try:
        facts = facts_of(read_head(folder, 3))
    except DamagedFile as error:
        one_line(str(error))
        assert taken is None, f"the engine takes it, the list does not: {error}"
        return
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        # So the list is told that the content is not a checkpoint's.
        assert taken is None, f"the engine takes it, the list does not: {error!r}"
        return
    one_line(facts.requirement + facts.workflow + (facts.workspace or "")[:900])
    for phase in facts.phases.values():
        one_line(phase.name + phase.status + (phase.error or "") + (phase.stale or ""))
    if taken is not None:
        statuses = {name: str(result.status) for name, result in taken.context.phase_results.items()}
        again = set(taken.context.rerun)
        assert {n: p.status for n, p in facts.phases.items() if n in statuses and n not in again} == {
            n: s for n, s in statuses.items() if n not in again
        }


def journal(data: bytes) -> None:
    """Lines that begin as records do get a right checksum: the whole reader and the fold take what they can."""
    lines = data.split(b"\n")
    fixed = []
    for line in lines:
        if line.startswith(_CRC) and len(line) > 17:
            blank = _CRC + b"00000000" + line[16:]
            line = _CRC + f"{zlib.crc32(blank):08x}".encode() + line[16:]
        fixed.append(line)
    path = _FOLDER / "journal.jsonl"
    path.write_bytes(b"\n".join(fixed))
    part = read_events(path)
    assert part.next_offset == sum(map(len, fixed[:-1])) + len(fixed) - 1
    for told in part.damage:
        one_line(told)
    assert set(part.torn) <= set(part.damage)
    for event in part.events:
        json.dumps(event.data)
    fold = JournalFold()
    fold.update(path)
    if fold.damage is not None:
        one_line(fold.damage)
    one_line(fold.last_words)
    for attempt in fold.summaries(frozenset()):
        one_line(attempt.phase + attempt.status + (attempt.error or ""))


def lease(data: bytes) -> None:
    """Any bytes are a lease, if that of nobody."""
    found = parse_lease(data)
    if found.problem is not None:
        one_line(found.problem)
        assert found.holders == ()
    for holder in found.holders:
        owner = owner_of(holder, found.epoch, NOW)
        one_line(owner.words() + owner.user + "".join(owner.phases)[:900])


def log_line(data: bytes) -> None:
    """Any bytes are a line of a log, and a clean one."""
    line = parse_log_line(data)
    assert (line.persona + line.stream + line.text).isprintable()


def result(data: bytes) -> None:
    """What a command wrote is a result, or the reason why not is a sentence's end; what is taken can be written."""
    path = _FOLDER / "result.json"
    path.write_bytes(data)
    try:
        taken = read_result(path, "worker")
    except BadResult as error:
        one_line(str(error))
        return
    json.dumps([taken.outputs, taken.metrics, taken.summary], allow_nan=False).encode()
    taken.summary.encode()


def index(data: bytes) -> None:
    """An index with a right sum is taken or left; what is taken is clean and of its types."""
    root = _FOLDER / "index"
    root.mkdir(exist_ok=True)
    head, line_break, body = data.partition(b"\n")
    try:
        value = json.loads(head + b"]}")
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and "crc" in value:
        value["crc"] = zlib.crc32(body.removesuffix(b"\n]}\n"))
        head = json.dumps(value, separators=(",", ":")).encode().removesuffix(b"]}")
    (root / "index.json").write_bytes(head + line_break + body)
    for entry in load_index(root).values():
        summary = entry.summary
        one_line((summary.requirement + summary.last_event)[:1_500])
        assert all(isinstance(line, str) for line in summary.damage)
    for kept in load_briefs(root).values():
        one_line((kept.summary.requirement + kept.summary.current + kept.summary.phases)[:1_500])
        assert all(isinstance(line, str) for line in kept.summary.damage)


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function for function in (checkpoint, journal, lease, log_line, result, index)
}
