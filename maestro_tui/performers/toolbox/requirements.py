"""The requirement analyst: turns the requirement text into numbered statements and says which are too vague."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from maestro_tui.model.context import Decision
from maestro_tui.performers.port import PerformerResult, Port, Task
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.markdown import bullets, code, count, document, plain, table
from maestro_tui.performers.toolbox.statements import STATEMENT_LIMIT, Statement, split_requirement


async def analyse(task: Task, port: Port) -> PerformerResult:
    """Write requirements.md and requirements.json."""
    bench = Bench(task, port, "requirements")
    statements = await bench.off_loop(split_requirement, task.requirement)
    vague = [statement for statement in statements if not statement.testable]
    for statement in statements:
        sign = "testable" if statement.testable else f"vague: {', '.join(f.word for f in statement.flags)}"
        bench.say(f"{statement.id} [{statement.kind}, {sign}] {statement.text}")
    data = {"requirement": task.requirement, "statements": [_as_json(s) for s in statements]}
    bench.write_json("requirements.json", data)
    bench.write("requirements.md", _document(statements))
    testable = len(statements) - len(vague)
    summary = f"{count(len(statements), 'statement')}, {testable} testable, {len(vague)} vague"
    if vague:
        summary += f" ({', '.join(statement.id for statement in vague[:8])}{', …' if len(vague) > 8 else ''})"
    return PerformerResult(
        outputs={
            "statements": data["statements"],
            "testable": testable,
            "vague": [statement.id for statement in vague],
            "requirements_report": f"{bench.folder}/requirements.md",
        },
        decisions=[_decision(statements, vague)],
        metrics={"testable_statements": testable / len(statements) if statements else None},
        summary=summary + ".",
    )


def _as_json(statement: Statement) -> dict[str, Any]:
    return {**asdict(statement), "testable": statement.testable}


def _decision(statements: tuple[Statement, ...], vague: list[Statement]) -> Decision:
    return Decision(
        about="scope of the requirement",
        choice=f"{len(statements)} statements to hold the work against",
        rationale=(
            "List items and sentences count as one statement each. Vague ones stay in, with the word and the "
            f"reason: {'; '.join(f'{s.id} {s.flags[0].word!r}' for s in vague[:10]) or 'there are none'}."
        ),
        score=round(1 - len(vague) / len(statements), 4) if statements else None,
        decided_by="rules",
    )


def _document(statements: tuple[Statement, ...]) -> str:
    rows = [[s.id, plain(s.text, 2_000), s.kind, "yes" if s.testable else "**no**"] for s in statements]
    vague = [f"**{s.id}** {code(flag.word)} {plain(flag.reason)}" for s in statements for flag in s.flags]
    notes = [f"**{s.id}** {plain(note)}" for s in statements for note in s.notes]
    cut = [f"Only the first {STATEMENT_LIMIT:,} statements are listed.", ""]
    cut = cut if len(statements) >= STATEMENT_LIMIT else []
    return document(
        "Requirements",
        ["Found by rules in the text of the requirement; no model took part.", ""],
        table(["no.", "statement", "kind", "testable"], rows) or ["The text holds no statement.", ""],
        cut,
        ["## Too vague to test", ""],
        bullets(vague, "None was found. The rules know English words only."),
        *([["## Worth a look", ""], bullets(notes)] if notes else []),
    )
