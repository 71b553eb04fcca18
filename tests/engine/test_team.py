"""How personas work together: one after the other, side by side, and as draft, comments and revision."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from maestro_tui import InputError
from maestro_tui.engine import delivered, tries
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from tests.engine.scripted import Bench, Team, said, writing

TWO = """
name = "w"
[[phases]]
name = "design"
mode = "{mode}"
rounds = {rounds}
[[phases.personas]]
name = "author"
performer = "llm"
options = {{ model = "m" }}
[[phases.personas]]
name = "peer"
performer = "llm"
options = {{ model = "m" }}
"""


THREE = 'name = "w"\n' + "".join(
    f"""
[[phases]]
name = "{name}"
needs = {needs}
personas = [{{ name = "{who}", performer = "command", argv = ["x"] }}]
"""
    for name, who, needs in (
        ("one", "first", []),
        ("two", "spoils", ["one"]),
        ("three", "looks", ["one", "two"]),
    )
)


def two(mode: str, rounds: int = 1) -> str:
    return TWO.format(mode=mode, rounds=rounds)


async def test_a_collaboration_is_draft_comments_and_revision_in_bounded_rounds(tmp_path: Path) -> None:
    def peer(task: Task, port: Port) -> PerformerResult:
        assert task.role == "comment"
        text = task.context["draft"]["outputs"]["text"]
        return PerformerResult(
            outputs={"comments": [f"on {text}"]}, summary="looked at it", metrics={"opinion": 0.5}
        )

    def author(task: Task, port: Port) -> PerformerResult:
        (task.workspace / "design.md").write_text(task.role)
        text = f"{task.role} after {task.context.get('comments')}"
        return PerformerResult(outputs={"text": text}, summary="wrote it")

    bench = Bench(tmp_path, two("collaborative", rounds=2), Team(author=author, peer=peer))
    context = await bench.engine.execute_batch("Design it", session_id="s")
    result = context.phase_results["design"]
    assert [(who, role) for _, who, role in bench.team.calls] == [
        ("author", "work"),
        ("peer", "comment"),
        ("author", "revise"),
        ("peer", "comment"),
        ("author", "revise"),
    ]
    assert result.outputs["comments"]["round 1"]["peer"] == {"comments": ["on work after None"]}
    assert "on revise after" in result.outputs["comments"]["round 2"]["peer"]["comments"][0]
    assert result.outputs["text"].startswith("revise after")
    assert result.quality["opinion"] == 0.5 and result.quality["quality"] is None
    assert [(one.path, one.persona) for one in result.artifacts] == [("design.md", "author")]
    assert result.summary.splitlines()[:4] == [
        "author: wrote it",
        "peer, comment: looked at it",
        "author, revision: wrote it",
        "peer, comment: looked at it",
    ], "a reviewer reads who said what"


async def test_a_colleague_without_a_word_ends_the_rounds(tmp_path: Path) -> None:
    silent = Team(peer=lambda task, port: PerformerResult())
    bench = Bench(tmp_path, two("collaborative", rounds=5), silent)
    await bench.engine.execute_batch("Design it", session_id="s")
    assert bench.team.who == ["author", "peer"]


async def test_personas_side_by_side_have_folders_of_their_own_and_overwrite_nothing(tmp_path: Path) -> None:
    both = asyncio.Barrier(2)

    async def work(task: Task, port: Port) -> PerformerResult:
        await both.wait()
        assert task.own_folder is not None
        (task.workspace / task.own_folder / "part.md").write_text(task.persona.name)
        return PerformerResult(outputs={"text": task.persona.name, "same": 1})

    bench = Bench(tmp_path, two("parallel"), Team(author=work, peer=work))
    context = await bench.engine.execute_batch("Design it", session_id="s")
    result = context.phase_results["design"]
    assert result.outputs == {"text": "author", "same": 1, "peer.text": "peer"}
    assert [(one.path, one.persona) for one in result.artifacts] == [
        ("maestro-out/design/author/part.md", "author"),
        ("maestro-out/design/peer/part.md", "peer"),
    ]


@pytest.mark.parametrize("link", ["maestro-out", "maestro-out/design", "maestro-out/design/peer"])
async def test_a_link_in_the_place_of_a_folder_of_their_own_fails_the_phase_and_nothing_is_made_behind_it(
    tmp_path: Path, link: str
) -> None:
    bench = Bench(tmp_path, two("parallel"), Team())
    outside = tmp_path / "outside"
    outside.mkdir()
    (bench.folder / link).parent.mkdir(parents=True, exist_ok=True)
    (bench.folder / link).symlink_to(outside)
    context = await bench.engine.execute_batch("Design it", session_id="s")
    result = context.phase_results["design"]
    assert str(result.status) == "failed" and result.error is not None
    assert "'maestro-out/design/" in result.error.message
    assert "a link or a file stands in its way" in result.error.message
    assert list(outside.iterdir()) == []


async def test_what_a_performer_does_to_what_it_was_handed_reaches_nobody_else(tmp_path: Path) -> None:
    def first(task: Task, port: Port) -> PerformerResult:
        return PerformerResult(outputs={"deep": {"list": [{"n": 1}]}, "pair": (1, 2)})

    def spoils(task: Task, port: Port) -> PerformerResult:
        deep = task.context["outputs"]["one"]["deep"]
        deep["list"][0]["n"] = deep["more"] = 2
        deep["list"].append(3)
        return PerformerResult()

    seen: list[object] = []

    def looks(task: Task, port: Port) -> PerformerResult:
        seen.append(task.context["outputs"]["one"])
        return PerformerResult()

    bench = Bench(tmp_path, THREE, Team(first=first, spoils=spoils, looks=looks))
    engine = bench.engine
    context = await engine.execute_batch("Build it", session_id="s")
    # As it is on the disk, where a pair is a list.
    as_written = {"deep": {"list": [{"n": 1}]}, "pair": [1, 2]}
    assert seen == [as_written]
    assert context.phase_results["one"].outputs == as_written
    context.phase_results["one"].outputs["deep"]["list"].append(4)
    context = await engine.resume("s", from_phase="three")
    assert seen == [as_written, as_written]
    assert context.phase_results["one"].outputs == as_written
    assert engine.store.verify("s") == []


async def test_what_a_model_claims_to_have_measured_is_left_out_and_told(tmp_path: Path) -> None:
    def boast(task: Task, port: Port) -> PerformerResult:
        return PerformerResult(metrics={"tests": 1.0, "quality": 1.0, "opinion": 0.9})

    bench = Bench(tmp_path, two("sequential"), Team(author=boast))
    context = await bench.engine.execute_batch("Design it", session_id="s")
    assert context.phase_results["design"].quality == {"opinion": 0.9, "quality": None}
    log = (bench.root / "s" / "logs" / "design.1.log").read_text()
    assert "its tests = 1.0 is a claim, not a measurement" in log


async def test_a_retry_waits_as_long_as_the_other_side_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await real(0)

    monkeypatch.setattr(tries.asyncio, "sleep", sleep)
    answers = iter([PerformerFailed("busy", retry_after=7.5), PerformerFailed("busy"), None])

    def limited(task: Task, port: Port) -> PerformerResult:
        problem = next(answers)
        if problem is not None:
            raise problem
        return said(task, port)

    workflow = (
        'name = "w"\n[[phases]]\nname = "a"\nretries = 3\n[[phases.personas]]\nname = "m"\nargv = ["x"]\n'
    )
    bench = Bench(tmp_path, workflow, Team(m=limited))
    context = await bench.engine.execute_batch("x", session_id="s")
    assert str(context.phase_results["a"].status) == "completed"
    assert 7.5 in waited
    assert [told.get("asked_seconds") for told in bench.told("phase_retried")] == [7.5, None]


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (PerformerFailed("The key is wrong.", retry=False), "The key is wrong."),
        (PerformerFailed("Come back tomorrow.", retry_after=86_400.0), "asks for a wait of 86400 s"),
    ],
)
async def test_what_another_try_cannot_help_is_tried_once(
    tmp_path: Path, problem: PerformerFailed, words: str
) -> None:
    def fail(task: Task, port: Port) -> PerformerResult:
        raise problem

    workflow = (
        'name = "w"\n[[phases]]\nname = "a"\nretries = 5\n[[phases.personas]]\nname = "m"\nargv = ["x"]\n'
    )
    bench = Bench(tmp_path, workflow, Team(m=fail))
    context = await bench.engine.execute_batch("x", session_id="s")
    error = context.phase_results["a"].error
    assert error is not None and words in error.message
    assert bench.team.who == ["m"]


POOL = """
name = "w"
[[personas]]
name = "writer"
description = "Writes the manual and documents for users"
argv = ["x"]
[[personas]]
name = "checker"
description = "Checks and documents that the manual for users is right"
argv = ["x"]
[[personas]]
name = "plumber"
description = "Lays pipes"
argv = ["x"]
[[phases]]
name = "manual"
objective = "The users have a manual that is right"
[[phases]]
name = "release"
objective = "Ship the manual to its users"
"""


async def test_the_team_is_chosen_from_the_workflow_s_personas_by_rules_and_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, POOL, Team())
    context = await bench.engine.execute_batch("Write the manual.", session_id="s", phases=["manual"])
    [decision] = [one for one in context.phase_results["manual"].decisions if one.about == "blueprint"]
    assert decision.decided_by == "rules" and "plumber" in decision.alternatives
    assert "BM25" in decision.rationale and decision.score is not None
    assert sorted(bench.team.who) == ["checker", "writer"]


async def test_the_operator_s_word_on_a_blueprint_makes_the_result_stale_and_is_followed(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, POOL, Team())
    await bench.engine.execute_batch("Write the manual.", session_id="s")
    bench.engine.choose_blueprint(
        "s", "manual", personas=["plumber", "writer"], mode="parallel", by="ada", reason="pipes first"
    )
    plan = bench.engine.plan("s")
    assert "its blueprint was changed by ada" in (plan.phase("manual").stale or "")
    assert "stale" in (plan.phase("release").stale or "")
    bench.team.calls.clear()
    context = await bench.engine.resume("s", from_phase="manual")
    assert sorted(bench.team.who[:2]) == ["plumber", "writer"]
    decision = context.phase_results["manual"].decisions[0]
    assert (decision.choice, decision.decided_by) == ("parallel: plumber, writer", "ada")
    assert decision.rationale == "pipes first"
    bench.engine.choose_blueprint("s", "manual", by="ada", reason="as before")
    assert "the team's again" in (bench.engine.plan("s").phase("manual").stale or "")


async def test_nobody_of_that_name_is_a_sentence_and_nothing_is_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, POOL, Team())
    await bench.engine.execute_batch("Write the manual.", session_id="s")
    with pytest.raises(InputError, match="Nobody is called 'smith'"):
        bench.engine.choose_blueprint("s", "manual", personas=["smith"], reason="?")
    assert bench.engine.store.head("s").context.blueprints == {}


async def test_the_requirement_is_classified_once_per_session(tmp_path: Path) -> None:
    bench = Bench(tmp_path, POOL, Team(writer=writing("m.md")))
    await bench.engine.execute_batch("Fix the crash: the manual is broken.", session_id="s")
    context = await bench.engine.resume("s", from_phase="manual")
    [decision] = [one for one in context.session_decisions if one.about == "classification"]
    assert decision.details["type"] == "bug_fix" and decision.decided_by == "rules"
    assert "crash" in decision.rationale


async def test_a_phase_that_leaves_nothing_is_not_saved_by_the_checkpoints_in_its_workspace(
    tmp_path: Path,
) -> None:
    workflow = """
name = "w"
[[phases]]
name = "design"
deliverables = ["**/*.json"]
[[phases.personas]]
name = "author"
argv = ["x"]
"""
    bench = Bench(tmp_path, workflow, Team())
    bench.root = bench.folder / ".maestro"
    context = await bench.engine.execute_batch("x", session_id="s")
    result = context.phase_results["design"]
    assert (str(result.status), result.contract and result.contract.missing) == ("failed", ("**/*.json",))


BESIDE = """
name = "w"
[[phases]]
name = "docs"
needs = []
deliverables = ["docs/**/*.md"]
[[phases.personas]]
name = "writer"
argv = ["x"]
[[phases]]
name = "notes"
needs = []
deliverables = ["*.txt"]
[[phases.personas]]
name = "scribe"
argv = ["x"]
"""


async def test_what_belongs_to_a_phase_beside_is_decided_by_the_rules_for_deliverables(
    tmp_path: Path,
) -> None:
    made = ("docs/a.md", "docs/deep/er/b.md", "sub/own.txt", "top.txt")
    bench = Bench(tmp_path, BESIDE, Team(scribe=writing(*made), writer=writing(*made)))
    await bench.engine.execute_batch("x", session_id="s", phases=["notes"])
    [notes] = bench.engine.store.head("s").context.phase_results.values()
    assert [one.path for one in notes.artifacts] == ["sub/own.txt", "top.txt"]
    (bench.folder / "sub/own.txt").unlink()
    context = await bench.engine.resume("s")
    docs = context.phase_results["docs"]
    assert "sub/own.txt" in [one.path for one in docs.artifacts], "`*.txt` claims the top folder alone"


SAME = """
name = "w"
[[phases]]
name = "docs"
deliverables = ["docs/*.md", "list.txt"]
personas = [{ name = "writer", argv = ["x"] }]
"""


async def test_what_a_phase_delivers_as_it_was_is_listed_as_the_same(tmp_path: Path) -> None:
    made = ("docs/a.md", "extra.log", "list.txt")
    bench = Bench(tmp_path, SAME, Team(writer=writing(*made, text="always\n")))
    for name in ("docs/there.md", "foreign.txt"):
        (bench.folder / name).parent.mkdir(exist_ok=True)
        (bench.folder / name).write_text("from before\n")
    first = (await bench.engine.execute_batch("x", session_id="s")).phase_results["docs"]
    assert [(one.path, one.change) for one in first.artifacts] == [
        ("docs/a.md", "new"),
        ("docs/there.md", "same"),
        ("extra.log", "new"),
        ("list.txt", "new"),
    ]
    context = await bench.engine.execute_phase("docs", session_id="s", again=True)
    again = context.phase_results["docs"]
    assert {(one.path, one.change, one.attempt) for one in again.artifacts} == {
        (path, "same", 2) for path in ("docs/a.md", "docs/there.md", "extra.log", "list.txt")
    }, "what its earlier attempt left belongs to it, what nobody claims does not"
    assert [one["paths"] for one in bench.told("artifacts_created")] == [
        ["docs/a.md", "extra.log", "list.txt"]
    ]
    (bench.folder / "extra.log").write_text("by hand\n")
    context = await bench.engine.execute_phase("docs", session_id="s", again=True)
    assert {one.path: one.change for one in context.phase_results["docs"].artifacts}["extra.log"] == "changed"


async def test_a_glob_over_a_whole_source_tree_claims_no_file_that_nobody_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivered, "MOST_SAME", 2)
    bench = Bench(tmp_path, SAME, Team(writer=writing("list.txt")))
    (bench.folder / "docs").mkdir()
    for name in ("a", "b", "c"):
        (bench.folder / f"docs/{name}.md").write_text("from before\n")
    (bench.folder / "list.txt").write_text("writer work 1\n")
    context = await bench.engine.execute_batch("x", session_id="s")
    assert [(one.path, one.change) for one in context.artifacts] == [("list.txt", "same")]
