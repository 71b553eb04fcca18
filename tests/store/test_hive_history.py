"""Maestro Hive's files are history that is read under every name, told when broken, and never changed."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.errors import DamagedFile, InputError
from maestro_tui.model.summary import SessionStatus, SessionSummary
from maestro_tui.store import hive_folder
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.detail import read_detail
from maestro_tui.store.hive_format import HIVE, NotHive, read_hive
from maestro_tui.store.index import FleetReader, read_all
from maestro_tui.store.index_file import INDEX
from tests.store.hive_files import WORKFLOW, checkpoint, injected, picture, put, result, session
from tests.store.small_sessions import context

NAMES = (
    f"{WORKFLOW}_design.json",
    "checkpoint_design.json",
    f"checkpoint_{WORKFLOW}_design.json",
    "wf-1/checkpoint_design.json",
    "anything.json",
)


def listed(root: Path) -> dict[str, SessionSummary]:
    return {summary.session_id: summary for summary in read_all(root, time.time())}


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_is_found_under_each_name(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, checkpoint("requirements", "design"))
    (summary,) = listed(tmp_path).values()
    assert summary.session_id == WORKFLOW and summary.foreign == HIVE
    assert [(phase.name, phase.status) for phase in summary.phases] == [
        ("requirements", "completed"),
        ("design", "completed"),
        ("implementation", "pending"),
        ("testing", "pending"),
        ("deployment", "pending"),
    ]
    assert summary.status is SessionStatus.PAUSED and summary.damage == ()


def test_files_of_one_workflow_are_one_history_ordered_by_phases_then_by_time(tmp_path: Path) -> None:
    put(tmp_path / "c.json", checkpoint("requirements"), at=3_000_000)
    put(tmp_path / "b.json", checkpoint("requirements", "design"), at=2_000_000)
    put(
        tmp_path / "a.json", checkpoint("requirements", "design", failed=["design"], gate=False), at=1_000_000
    )
    put(tmp_path / "other.json", checkpoint("requirements", workflow_id="workflow-other"))
    assert sorted(listed(tmp_path)) == [WORKFLOW, "workflow-other"]
    detail = read_detail(tmp_path / WORKFLOW, 0.0)
    assert [info.path.name for info in detail.history] == ["c.json", "a.json", "b.json"]
    assert detail.summary.phases[1].status == "completed", "the rerun counts"


def test_both_synthetic_forms_and_session_files_are_read(tmp_path: Path) -> None:
    extra = {"synthetic": True, "synthetic_source": "x", "external_data_keys": [], "checkpoint_path": "p"}
    put(
        tmp_path / "checkpoint_design.json",
        checkpoint("requirements", "design", workflow_id="synthetic_design_1", metadata=extra),
    )
    put(tmp_path / "wf-9" / "checkpoint_requirements_synthetic.json", injected())
    put(tmp_path / "sdlc_sessions" / "x.json", session())
    found = listed(tmp_path)
    assert sorted(found) == ["sdlc_0a1b2c3d_20261122_090000", "synthetic_design_1", "wf-synthetic-0a1b2c3d"]
    assert [phase.name for phase in found["wf-synthetic-0a1b2c3d"].phases][:2] == ["requirements", "design"]
    assert found["wf-synthetic-0a1b2c3d"].requirement == "Refunds are idempotent"
    assert found["sdlc_0a1b2c3d_20261122_090000"].phases[0].status == "completed"
    assert all(summary.damage == () for summary in found.values())


def test_a_session_file_without_metadata_is_read(tmp_path: Path) -> None:
    document = session()
    del document["metadata"]
    put(tmp_path / "x.json", document)
    (summary,) = listed(tmp_path).values()
    assert summary.phases == () and summary.status is SessionStatus.PAUSED


def test_a_phase_completed_without_its_gate_has_failed(tmp_path: Path) -> None:
    put(tmp_path / "1.json", checkpoint("requirements", gate=False))
    put(tmp_path / "2.json", checkpoint("requirements", "design"))
    (summary,) = listed(tmp_path).values()
    assert [phase.status for phase in summary.phases][:2] == ["failed", "completed"]
    assert summary.status is SessionStatus.FAILED and "missed its quality gate" in (summary.error or "")


def test_where_no_file_tells_of_a_gate_the_score_decides(tmp_path: Path) -> None:
    put(tmp_path / "2.json", checkpoint("requirements", "design", scores={"requirements": 0.5}))
    (summary,) = listed(tmp_path).values()
    assert [phase.status for phase in summary.phases][:2] == ["failed", "completed"]


def test_naive_times_are_utc_or_local_as_their_writer_meant_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        file = read_hive(put(tmp_path / "x.json", checkpoint("requirements")))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert file.created_at == datetime(2026, 11, 22, 9, 0, 0, 123_456, UTC)
    assert file.phases[0].started_at == datetime(2026, 11, 22, 15, 0, 0, 1, UTC)


def _without(key: str) -> dict[str, Any]:
    document = checkpoint("requirements")
    del document[key]
    return document


BROKEN = {
    "empty": (b"", "it is empty"),
    "truncated": (json.dumps(checkpoint("requirements"), indent=2).encode()[:3_000], "it breaks off"),
    "no JSON": (b'{"checkpoint_metadata": {]}', "it is no JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(checkpoint("requirements")).encode(), "byte order mark"),
    "no text": (b'{"checkpoint_metadata": "\xff"}', "it is not UTF-8 text (byte 25)"),
    "another version": (checkpoint("requirements", metadata={"version": "2.0"}), "its version is '2.0'"),
    "an integer version": (checkpoint("requirements", metadata={"version": 1}), "its version is '1'"),
    "a missing part": (_without("team_execution_state"), "'team_execution_state' is missing"),
    "a part that is a list": ({**checkpoint(), "workflow_context": []}, "'workflow_context' is a list"),
    "no name": (checkpoint("requirements", workflow_id=""), "'workflow_id' is missing or empty"),
    "results that are a list": (checkpoint(context={"phase_results": []}), "'phase_results' is a list"),
    "a result that is text": (
        checkpoint(context={"phase_results": {"design": "done"}}),
        "the result of 'design' is text",
    ),
    "outputs that are a list": (
        checkpoint(context={"phase_results": {"design": result("design", outputs=[1])}}),
        "the outputs of 'design' are a list",
    ),
    "no status": (
        checkpoint(context={"phase_results": {"design": result("design", status=None)}}),  # type: ignore[arg-type]
        "the status of 'design' is null",
    ),
    "deep nesting": (b'{"workflow_context": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
    "nesting beyond ours": (b'{"workflow_context": ' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper than 150"),
    "a long number": (b'{"workflow_context": ' + b"9" * 6_000 + b"}", "it is no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_has_one_line_with_the_reason_and_harms_no_other(tmp_path: Path, what: str) -> None:
    content, reason = BROKEN[what]
    broken = tmp_path / "checkpoint_broken.json"
    broken.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DamagedFile) as caught:
        read_hive(broken)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    put(tmp_path / "good.json", checkpoint("requirements", workflow_id="good"))
    found = listed(tmp_path)
    assert found["good"].damage == ()
    (other,) = [summary for name, summary in found.items() if name != "good"]
    assert other.damage == (str(caught.value),) and other.foreign == HIVE


@pytest.mark.parametrize(
    ("metadata", "note"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"checkpoint_type": "phase_complete"}, "its checkpoint_type is 'phase_complete'"),
        ({"created_at": "yesterday"}, "its created_at is 'yesterday'"),
    ],
)
def test_what_their_own_loader_refuses_is_read_with_a_note(
    tmp_path: Path, metadata: dict[str, Any], note: str
) -> None:
    put(tmp_path / "x.json", checkpoint("requirements", metadata=metadata))
    (summary,) = listed(tmp_path).values()
    assert summary.phases[0].status == "completed"
    assert len(summary.damage) == 1 and note in summary.damage[0]


def test_numbers_that_are_none_are_not_measured_and_told(tmp_path: Path) -> None:
    document = checkpoint("requirements", scores={"requirements": float("nan")})
    document["workflow_context"]["phase_results"]["requirements"]["outputs"]["odd"] = [float("inf")]
    file = read_hive(put(tmp_path / "x.json", document))
    assert file.phases[0].quality is None
    assert file.phases[0].outputs["odd"] == [None]
    assert file.notes == ("NaN or infinite, so not measured: 2 of its numbers",)


def test_a_hostile_name_becomes_a_safe_one_and_text_cannot_steer_a_terminal(tmp_path: Path) -> None:
    evil = "../../[bold]\x1b[31m/x"
    own = {"metadata": {"initial_requirement": "\x1b]0;title\x07[@click=app.quit]"}}
    put(tmp_path / "x.json", checkpoint("requirements", workflow_id=evil, context=own))
    (summary,) = listed(tmp_path).values()
    assert summary.session_id.startswith("bold-31m-x-")
    assert summary.requirement == "␛]0;title␇[@click=app.quit]"
    assert listed(tmp_path).keys() == {summary.session_id}, "the name is always the same"


def test_json_of_others_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / "package.json", {"name": "shop"})
    (tmp_path / "tsconfig.json").write_text("{ // comments\n}")
    assert listed(tmp_path) == {}
    with pytest.raises(NotHive):
        read_hive(tmp_path / "package.json")


def test_looking_at_their_directory_changes_nothing_in_it(tmp_path: Path) -> None:
    for number in range(30):
        put(tmp_path / f"w{number}_design.json", checkpoint("requirements", workflow_id=f"w{number}"))
    before = picture(tmp_path)
    assert len(listed(tmp_path)) == 30
    read_detail(tmp_path / "w1", 0.0)
    fleet = FleetReader(tmp_path)
    assert len([fleet.refresh(name, 0.0) for name in fleet.names()]) == 30
    assert fleet.save() is False
    assert picture(tmp_path) == before and not (tmp_path / INDEX).exists()


def test_what_changes_in_their_directory_is_seen_and_what_does_not_is_the_same_object(tmp_path: Path) -> None:
    put(tmp_path / "a.json", checkpoint("requirements"))
    fleet = FleetReader(tmp_path)
    assert [name for name in fleet.names() if fleet.refresh(name, 0.0)] == [WORKFLOW]
    first = fleet.entries[WORKFLOW].summary
    assert [name for name in fleet.names() if fleet.refresh(name, 0.0)] == []
    assert fleet.entries[WORKFLOW].summary is first
    put(tmp_path / "b.json", checkpoint("requirements", "design"))
    assert [name for name in fleet.names() if fleet.refresh(name, 0.0)] == [WORKFLOW]
    (tmp_path / "a.json").unlink()
    (tmp_path / "b.json").unlink()
    names = fleet.names()
    assert fleet.forget_all_but(names) and fleet.entries == {}


def test_a_session_of_ours_goes_before_history_of_the_same_name(tmp_path: Path) -> None:
    CheckpointStore(tmp_path).create(context(WORKFLOW))
    put(tmp_path / "x.json", checkpoint("requirements"))
    (summary,) = listed(tmp_path).values()
    assert summary.foreign is None


def test_a_folder_of_theirs_is_no_session_of_ours_that_has_lost_its_history(tmp_path: Path) -> None:
    put(tmp_path / "wf-1" / "checkpoint_design.json", checkpoint("requirements", "design"))
    store = CheckpointStore(tmp_path)
    assert store.session_ids() == [] and not store.exists("wf-1")
    with pytest.raises(InputError, match="There is no session 'wf-1'"):
        store.head("wf-1")
    with pytest.raises(InputError, match=r"history of Maestro Hive.*maestro-tui .*import"):
        store.head(WORKFLOW)


def test_all_of_a_history_is_shown_as_a_session_is(tmp_path: Path) -> None:
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "design.md").write_text("# design\n")
    own = {"human_edits": {"design": {"outputs": {"summary": "mine"}}}}
    put(tmp_path / "x.json", checkpoint("requirement_analysis", "design", context=own))
    detail = read_detail(tmp_path / WORKFLOW, 0.0)
    assert [phase.name for phase in detail.phases] == [
        "requirement_analysis",
        "design",
        "implementation",
        "testing",
        "deployment",
    ]
    assert [(a.path.rpartition("/")[2], a.phase, a.size) for a in detail.artifacts] == [
        ("design.md", "design", 9)
    ]
    assert [(d.phase, d.choice) for d in detail.decisions] == [
        ("requirement_analysis", "Alone"),
        ("design", "Alone"),
    ]
    assert detail.head_json["checkpoint_metadata"]["workflow_id"] == WORKFLOW
    assert [attempt.status for attempt in detail.attempts] == ["completed", "completed"]


def test_a_link_or_pipe_among_their_files_is_not_opened(tmp_path: Path) -> None:
    target = put(tmp_path / "elsewhere" / "deep" / "x.json", checkpoint("requirements"))
    root = tmp_path / "root"
    put(root / "good.json", checkpoint("requirements", workflow_id="good"))
    (root / "link.json").symlink_to(target)
    os.mkfifo(root / "pipe.json")
    (root / "folder").mkdir()
    os.mkfifo(root / "folder" / "checkpoint_design.json")
    (root / "folder" / "checkpoint_build.json").symlink_to("/dev/zero")
    assert list(listed(root)) == ["good"]
    assert not hive_folder.holds_hive(root / "link.json") and hive_folder.why_not_run(root, "folder") is None


def test_more_files_than_are_looked_at_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hive_folder, "FILES_LIMIT", 2)
    for number in range(5):
        put(tmp_path / f"{number}.json", checkpoint("requirements", workflow_id=f"w{number}"))
    found = listed(tmp_path)
    assert sorted(found) == ["further-files", "w0", "w1"]
    assert found["further-files"].damage == ("3 further files were not looked at: 2 of one directory are",)
