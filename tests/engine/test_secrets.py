"""What a performer prints, or a person types, of a secret reaches neither log, journal, checkpoint nor event."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from maestro_tui import Persona, Phase, TeamExecutionEngineV2SplitMode, Workflow
from maestro_tui.engine.doctor import take_over

SECRET = "correct-Horse-7-battery"
CODE = """
import json, os, pathlib, sys
secret = os.environ["SHOP_TOKEN"]
print("the token is", secret)
print("x" * 999_990 + secret, file=sys.stderr)
pathlib.Path(os.environ["MAESTRO_RESULT"]).write_text(json.dumps(
    {"outputs": {"token": secret}, "summary": secret, "decisions": [secret]}))
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize("code", [0, 3])
async def test_a_secret_of_the_environment_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    (tmp_path / "work").mkdir()
    worker = Persona(name="worker", argv=(sys.executable, "-c", CODE, str(code)), env=("SHOP_TOKEN",))
    # Of two who work one after the other the first is kept by a receipt when the second fails.
    first = Persona(name="first", argv=(sys.executable, "-c", CODE, "0"), env=("SHOP_TOKEN",))
    workflow = Workflow(name="w", phases=(Phase(name="a", personas=(first, worker)),))
    heard: list[str] = []
    engine = TeamExecutionEngineV2SplitMode(
        tmp_path / "root", workflow, tmp_path / "work", on_event=lambda event: heard.append(repr(event.data))
    )
    context = await engine.execute_batch("x", session_id="s1")
    result = context.phase_results["a"]
    if code == 0:
        assert result.outputs == {"token": "‹SHOP_TOKEN›"}
    files = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert len(files) > 5
    holding = [path.name for path in files if SECRET.encode() in path.read_bytes()]
    assert holding == []
    kept = [path.read_text() for path in (tmp_path / "root" / "s1" / "receipts").glob("a~1~first~*")]
    assert [json.loads(text)["result"]["summary"] for text in kept] == ["‹SHOP_TOKEN›"] * (code != 0)
    assert not any(SECRET in told for told in heard)
    log = (tmp_path / "root" / "s1" / "logs" / "a.1.log").read_text()
    assert "the token is ‹SHOP_TOKEN›" in log
    assert json.dumps(SECRET) not in log


async def test_what_a_person_types_of_a_secret_is_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    (tmp_path / "work").mkdir()
    (tmp_path / "given.json").write_text(json.dumps({"token": SECRET}))
    code = (sys.executable, "-c", "")
    workflow = Workflow(
        name="w",
        phases=tuple(
            Phase(name=name, approval=name == "b", personas=(Persona(name="worker", argv=code),))
            for name in ("a", "b", "c")
        ),
    )
    engine = TeamExecutionEngineV2SplitMode(tmp_path / "root", workflow, tmp_path / "work")
    asked, given = f"Log in with {SECRET}", {"a": str(tmp_path / "given.json")}
    context = await engine.execute_batch(asked, session_id="s1", start_from="b", inputs=given)
    assert context.requirement == "Log in with ‹SHOP_TOKEN›"
    assert context.outputs_of("a") == {"token": "‹SHOP_TOKEN›"}
    engine.edit("s1", {"a": {"token": SECRET, "user": "ann"}}, reason=f"it is {SECRET}")
    engine.choose_blueprint("s1", "c", personas=["worker"], reason=f"who knows {SECRET}")
    engine.decide("s1", "b", "pushed_back", reason=f"use {SECRET}")
    await engine.resume("s1", edits={"a": {"token": SECRET}}, reason=SECRET)
    engine.decide("s1", "b", "approved", reason=SECRET)
    engine.skip("s1", "c", reason=f"without {SECRET}")
    take_over(engine, "s1", by=None, reason=f"lost {SECRET}")
    # A node that is tried again is asked with the same words as before.
    context = await engine.execute_phase("b", asked, session_id="s1", inputs=given)
    assert context.outputs_of("a") == {"token": "‹SHOP_TOKEN›", "user": "ann"}
    files = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path.name for path in files if SECRET.encode() in path.read_bytes()] == []
    journal = (tmp_path / "root" / "s1" / "journal.jsonl").read_text()
    assert "without \\u2039SHOP_TOKEN\\u203a" in journal
