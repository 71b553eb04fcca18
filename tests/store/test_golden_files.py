"""Checkpoints of every released format are read for ever; these files are never written anew."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from maestro_tui import CheckpointStore, DamagedFile
from maestro_tui.model.fingerprint import stale_reasons
from maestro_tui.store.journal import read_events
from maestro_tui.store.unbundle import unpack_bundle

GOLDEN = Path(__file__).parent / "golden"
DIGESTS = {
    "format-1-init.json": "a81bc2149521dad45f148aa1693ca098f782f9147b50f5f61e0a3f03c25d9acd",
    "format-1-phase.json": "95d84f27cb7b0749f815235aaa9de83beae3ccc84d25a649ed469e3cc85a7ff0",
}
BUNDLE = "s1.bundle"
BUNDLE_DIGEST = "e58454eafae29ca2891a63e00f115a9ca5adcbdb9a273a8612c499e6f95e2c1e"


@pytest.mark.parametrize(("name", "digest"), [*DIGESTS.items(), (BUNDLE, BUNDLE_DIGEST)])
def test_a_golden_file_has_not_been_touched(name: str, digest: str) -> None:
    assert hashlib.sha256((GOLDEN / name).read_bytes()).hexdigest() == digest


def test_a_bundle_of_format_1_is_imported_with_all_that_it_holds(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    unpack_bundle(store, GOLDEN / BUNDLE)
    assert store.verify("s1") == []
    assert store.head("s1").seq == 2
    assert (tmp_path / "s1" / "logs" / "design.1.log").read_bytes() == b"one\ntwo\n"
    assert [event.type for event in read_events(tmp_path / "s1" / "journal.jsonl").events] == [
        "session_started"
    ]


def test_a_checkpoint_of_format_1_is_read_with_all_that_it_says(tmp_path: Path) -> None:
    commit = CheckpointStore(tmp_path).load_file(GOLDEN / "format-1-phase.json")
    context = commit.context
    assert (commit.seq, commit.phase, commit.attempt, commit.epoch) == (1, "design", 1, 1)
    assert context.requirement == "Refunds are idempotent — größer als zuvor ✓"
    assert context.workflow.order == ("requirements", "design", "audit")
    assert context.workflow.phase("design").personas[0].shell == "make design"
    assert context.workflow.phase("audit").threshold == {"coverage": 0.75}
    result = context.phase_results["requirements"]
    assert result.done
    assert result.outputs["deep"] == {"a": [None, True, 1.5]}
    assert result.quality["coverage"] is None
    assert context.outputs_of("requirements")["n"] == 4
    assert context.phase_results["design"].error.tail == ("boom",)
    assert context.lineage.seq == 3
    assert context.usage.cost_usd == 0.41


def test_hashes_of_definitions_have_not_changed_since_so_nothing_old_turns_stale(tmp_path: Path) -> None:
    context = CheckpointStore(tmp_path).load_file(GOLDEN / "format-1-phase.json").context
    assert stale_reasons(context.workflow, context) == {}


def test_the_chain_of_golden_files_holds(tmp_path: Path) -> None:
    history = tmp_path / "20261122-142530-payments-7f3a" / "history"
    history.mkdir(parents=True)
    for seq, name in enumerate(DIGESTS):
        (history / f"{seq:04d}.json").write_bytes((GOLDEN / name).read_bytes())
    store = CheckpointStore(tmp_path)
    assert [info.problem for info in store.history("20261122-142530-payments-7f3a")] == [None, None]
    assert store.head("20261122-142530-payments-7f3a").seq == 1


def test_a_newer_format_is_refused_by_sentence_never_guessed(tmp_path: Path) -> None:
    data = (
        (GOLDEN / "format-1-init.json").read_bytes().replace(b"maestro-checkpoint/1", b"maestro-checkpoint/2")
    )
    start = data.index(b'"sha256": "') + 11
    zeroed = data[:start] + b"0" * 64 + data[start + 64 :]
    digest = hashlib.sha256(zeroed).hexdigest().encode()
    newer = tmp_path / "newer.json"
    newer.write_bytes(data[:start] + digest + data[start + 64 :])
    with pytest.raises(DamagedFile, match="maestro-checkpoint/2"):
        CheckpointStore(tmp_path).load_file(newer)
