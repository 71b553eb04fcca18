"""A person may change what a phase left: validated, recorded, held against the contract again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from maestro_tui import PlanError
from maestro_tui.engine.report import show_document
from maestro_tui.engine.report_markdown import read_report
from maestro_tui.listing import show_lines
from maestro_tui.model.fingerprint import stale_reasons
from maestro_tui.store.staleness import stale_phases
from tests.engine.scripted import Bench, Team, writing

WORKFLOW = """
name = "w"
[[phases]]
name = "design"
outputs_schema = { properties = { size = { type = "integer" } } }
[[phases.contracts]]
name = "api"
deliverables = ["api.json"]
schema = { required = ["version"] }
[[phases.personas]]
name = "architect"
argv = ["x"]
[[phases]]
name = "build"
[[phases.personas]]
name = "builder"
argv = ["x"]
"""


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, WORKFLOW, Team(architect=writing("api.json", text='{"version": 1}')))
    context = await made.engine.execute_batch("x", session_id="s")
    assert [str(one.status) for one in context.phase_results.values()] == ["completed"] * 2
    return made


async def test_an_artifact_edited_by_hand_is_measured_recorded_and_makes_later_phases_stale(
    bench: Bench,
) -> None:
    (bench.folder / "api.json").write_text('{"version": 2}')
    context = bench.engine.edit("s", {}, files={"design": ["api.json"]}, by="ada", reason="a newer one")
    [edit] = context.edits
    assert (edit.by, edit.reason, edit.artifacts[0].path, edit.artifacts[0].size) == (
        "ada", "a newer one", "api.json", 14,
    )  # fmt: skip
    assert edit.contract is not None and edit.contract.schemas == (1, 1)
    assert bench.engine.plan("s").phase("build").stale == "design was edited by ada"
    bench.team.tasks.clear()
    await bench.engine.resume("s", from_phase="build")
    given = {one["path"]: one["sha256"] for one in bench.team.tasks[0].context["artifacts"]}
    assert given["api.json"] == edit.artifacts[0].sha256, "later phases are told of the file as it is now"


async def test_a_file_is_one_artifact_however_its_path_is_written(bench: Bench) -> None:
    (bench.folder / "api.json").write_text('{"version": 2}')
    context = bench.engine.edit(
        "s", {}, files={"design": ["./api.json", "api.json", ".//api.json"]}, reason="a newer one"
    )
    assert [(one.path, one.change) for one in context.edits[0].artifacts] == [("api.json", "changed")]
    assert [one.path for one in context.artifacts_of("design")] == ["api.json"]


async def test_an_edit_is_over_when_its_own_phase_runs_again(bench: Bench) -> None:
    (bench.folder / "api.json").write_text('{"version": 2}')
    bench.engine.edit("s", {"design": {"size": 1}}, files={"design": ["api.json"]}, reason="a newer one")
    context = await bench.engine.resume("s", from_phase="design")
    made = {one.path: one.sha256 for one in context.phase_results["design"].artifacts}
    assert context.outputs_of("design") == {"architect": "done"}
    assert {one.path: one.sha256 for one in context.artifacts_of("design")} == made
    given = bench.team.tasks[-1].context
    assert given["outputs"]["design"] == {"architect": "done"}
    assert {one["path"]: one["sha256"] for one in given["artifacts"]} == made
    head = bench.engine.store.head("s")
    data = json.loads(head.context.model_dump_json())
    assert stale_phases(data.pop("workflow"), data) == {} == stale_reasons(context.workflow, context)
    bench.engine.edit("s", {"design": {"size": 2}}, reason="of the second attempt")
    context = bench.engine.store.head("s").context
    assert context.outputs_of("design") == {"architect": "done", "size": 2}
    data = json.loads(context.model_dump_json())
    assert "build" in stale_phases(data.pop("workflow"), data)


async def test_an_edit_that_breaks_the_contract_is_refused_with_what_it_breaks(bench: Bench) -> None:
    (bench.folder / "api.json").write_text("{}")
    with pytest.raises(
        PlanError, match=r"break the contract of 'design': .*'version' is a required property"
    ):
        bench.engine.edit("s", {}, files={"design": ["api.json"]}, reason="?")
    with pytest.raises(PlanError, match="outputs break their schema"):
        bench.engine.edit("s", {"design": {"size": "large"}}, reason="?")
    assert bench.engine.store.head("s").context.edits == ()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../outside", "is not inside the workspace"),
        ("/etc/passwd", "is not inside the workspace"),
        ("gone.json", "cannot be read"),
        ("api.json", "there is no edit to record"),
        ("link", "leads out of the workspace"),
    ],
)
async def test_a_path_that_is_no_edited_artifact_is_a_sentence(bench: Bench, path: str, words: str) -> None:
    (bench.folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(PlanError, match=words):
        bench.engine.edit("s", {}, files={"design": [path]}, reason="?")


async def test_a_phase_is_pushed_back_no_more_often_than_its_workflow_allows(tmp_path: Path) -> None:
    gated = WORKFLOW.replace('name = "design"\n', 'name = "design"\napproval = true\nmax_iterations = 1\n')
    bench = Bench(tmp_path, gated, Team(architect=writing("api.json", text='{"version": 1}')))
    await bench.engine.execute_batch("x", session_id="s")
    bench.engine.decide("s", "design", "pushed_back", by="ada", reason="name the errors")
    await bench.engine.resume("s")
    feedback = bench.team.tasks[-1].context["feedback"]
    assert (feedback["comments"], feedback["by"], feedback["attempt"]) == ("name the errors", "ada", 1)
    assert feedback["outputs"] == {"architect": "done"}
    assert feedback["diff"]["api.json"].endswith('@@ -0,0 +1 @@\n+{"version": 1}')
    with pytest.raises(PlanError, match=r"pushed back 1 times, and its workflow allows 1"):
        bench.engine.decide("s", "design", "pushed_back", by="ada", reason="again")
    bench.engine.decide("s", "design", "approved", by="ada")
    context = await bench.engine.resume("s")
    assert str(context.phase_results["build"].status) == "completed"


async def test_show_and_report_tell_the_decisions_of_every_round_with_author_time_and_reason(
    tmp_path: Path,
) -> None:
    gated = WORKFLOW.replace('name = "design"\n', 'name = "design"\napproval = true\n')
    bench = Bench(tmp_path, gated, Team(architect=writing("api.json", text='{"version": 1}')))
    await bench.engine.execute_batch("x", session_id="s")
    rounds = (
        ("pushed_back", "ada", "name the errors"),
        ("rejected", "ben", "no [limits]"),
        ("approved", "ada", ""),
    )
    for verdict, by, reason in rounds:
        bench.engine.decide("s", "design", verdict, by=by, reason=reason)
        bench.now += 60
        await bench.engine.resume("s")
    document = show_document(bench.engine, "s")
    lines = [text for text in show_lines(document) if "review of" in text]
    assert lines == [
        "  design: review of attempt 1 → pushed back (by ada, 2027-01-15 08:00 UTC): name the errors",
        "  design: review of attempt 2 → rejected (by ben, 2027-01-15 08:01 UTC): no [limits]",
        "  design: review of attempt 3 → approved (by ada, 2027-01-15 08:02 UTC)",
    ]
    told = [text for text in read_report(bench.root, "s", bench.now).splitlines() if "review of" in text]
    assert told == [
        "| design | review of attempt 1 | pushed back | name the errors |  | ada | 2027-01-15 08:00:00 |",
        "| design | review of attempt 2 | rejected | no \\[limits\\] |  | ben | 2027-01-15 08:01:00 |",
        "| design | review of attempt 3 | approved |  |  | ada | 2027-01-15 08:02:00 |",
    ]
