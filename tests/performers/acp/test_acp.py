"""An agent of the Agent Client Protocol: followed live, permitted what was decided, and never believed nor left behind."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.context import Usage
from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.model.persona import Persona
from maestro_tui.performers import acp, acp_turn
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.registry import performer_for
from tests.performers.acp.talking import CHOICES, AnsweringPort, perform, scripted
from tests.waiting import wait_until


def ask(**more: Any) -> dict[str, Any]:
    return {"ask": {"title": "Write app.py", "kind": "edit", "options": CHOICES, **more}}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


# ── Following a turn ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_turn_is_told_live_and_its_text_is_the_output(tmp_path: Path) -> None:
    script = [
        {"think": "Let me see.\nYes"},
        {"plan": [["read", "in_progress"], ["write", "pending"]]},
        {"tool": {"title": "Read a.py", "kind": "read", "path": "/w/a.py"}},
        {"plan": [["read", "completed"], ["write", "pending"]]},
        {"say": "One file "},
        {"say": "is there.\n\nAll "},
        {"tool": {"title": "Run tests", "kind": "execute", "status": "failed"}},
        {"say": "done."},
        {"err": "a warning"},
        {"cost": 0.25},
        {"tokens": [1200, 34]},
    ]
    result, port = await perform(tmp_path, {"prompt": script})
    assert result.outputs == {"text": "One file is there.\n\nAll done."}
    assert result.summary == "All done." and result.failure is None and not result.metrics
    assert result.usage == Usage(input_tokens=1200, output_tokens=34, cost_usd=0.25)
    assert result.usage not in port.spent, "a turn that is over is paid: no budget throws it away"
    out = [text for stream, text in port.lines if stream == "out"]
    assert out == [
        "· Let me see.", "· Yes", "plan: read (in progress)", "plan: write (pending)", "→ Read a.py (read)",
        "plan: read (completed)", "One file is there.", "", "All ", "→ Run tests (execute)", "✗ Run tests failed",
        "done.",
    ]  # fmt: skip
    assert ("err", "a warning") in port.lines
    called = [data for type, data in port.events if type == "tool_called"]
    assert called == [
        {"tool": "Read a.py", "kind": "read", "paths": ["/w/a.py"]},
        {"tool": "Run tests", "kind": "execute", "paths": []},
    ]


async def test_the_agent_gets_the_task_and_neither_our_files_nor_a_terminal(tmp_path: Path) -> None:
    await perform(tmp_path, {})
    assert "The list must show 20 rows." in (tmp_path / "script" / "prompt.txt").read_text()
    capabilities = json.loads((tmp_path / "script" / "greeting.json").read_text())["client_capabilities"]
    assert capabilities["terminal"] is False
    assert (capabilities["fs"]["readTextFile"], capabilities["fs"]["writeTextFile"]) == (False, False)


async def test_what_is_longer_than_the_limit_is_cut_in_the_output_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maestro_tui.performers import acp_client

    monkeypatch.setattr(acp_client, "TEXT_LIMIT", 10)
    result, port = await perform(
        tmp_path, {"prompt": [{"say": "0123456"}, {"say": "789abc"}, {"say": "d\n"}]}
    )
    assert result.outputs["text"] == "0123456789\n… 5 more characters are in the log"
    assert port.text == "0123456789abcd"


async def test_a_very_long_message_comes_whole(tmp_path: Path) -> None:
    _, port = await perform(tmp_path, {"prompt": [{"say": "x" * 3_000_000 + "\n"}]})
    assert len(port.text) == 3_000_000


async def test_a_model_is_chosen_by_id_or_name_among_those_that_are_offered(tmp_path: Path) -> None:
    await perform(tmp_path, {"models": True}, model="Big One")
    assert (tmp_path / "script" / "model").read_text() == "model=big"
    with pytest.raises(
        PerformerFailed, match="has no model 'huge'; it offers Small One, small, Big One, big"
    ) as told:
        await perform(tmp_path, {"models": True}, model="huge")
    assert told.value.retry is False


async def test_it_signs_in_where_that_is_asked_for(tmp_path: Path) -> None:
    await perform(tmp_path, {}, auth="api-key")
    assert (tmp_path / "script" / "signed-in").read_text() == "api-key"


@pytest.mark.parametrize("named", ["homes/agent", "private"])
async def test_a_home_of_its_own_hides_the_operators_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/operator/.config")
    code = "import os, sys; print(os.environ['HOME'], os.environ['XDG_CONFIG_HOME'], file=sys.stderr)"
    persona = Persona.model_validate(
        {"name": "w", "performer": "acp", "argv": [sys.executable, "-c", code], "options": {"home": named}}
    )
    with pytest.raises(PerformerFailed) as told:
        await perform(tmp_path, persona)
    home, config = told.value.tail[-1].split()
    assert config == f"{home}/.config" and Path(home).stat().st_mode & 0o777 == 0o700
    base = tmp_path / ("scratch" if named == "private" else "workspace")
    assert Path(home).is_relative_to(base)


async def test_only_named_variables_are_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "k-1")
    monkeypatch.setenv("OTHER_KEY", "k-2")
    code = "import os, sys; print(sorted(k for k in os.environ if k.endswith('_KEY')), file=sys.stderr)"
    persona = Persona.model_validate(
        {"name": "w", "performer": "acp", "argv": [sys.executable, "-c", code], "env": ["MY_KEY"]}
    )
    with pytest.raises(PerformerFailed, match=r"its last line: \['MY_KEY'\]"):
        await perform(tmp_path, persona)


def an_agent(folder: Path, monkeypatch: pytest.MonkeyPatch, agent: str) -> None:
    """A program of that agent's name on PATH that tells its environment and ends."""
    program = folder / "bin" / {"claude": "claude-agent-acp"}.get(agent, agent)
    program.parent.mkdir()
    code = "import json, os, sys; print(json.dumps(dict(os.environ)), file=sys.stderr)"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


@pytest.mark.parametrize("agent", ["claude", "gemini", "opencode"])
async def test_a_model_at_another_address_and_its_key_are_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    an_agent(tmp_path, monkeypatch, agent)
    monkeypatch.setenv("MY_KEY", "k-1")
    options = {"agent": agent, "base_url": "http://127.0.0.1:9/v1", "key_env": "MY_KEY", "model": "small"}
    persona = Persona.model_validate({"name": "w", "performer": "acp", "options": options})
    with pytest.raises(PerformerFailed) as told:
        await perform(tmp_path, persona)
    env = json.loads(told.value.tail[-1])
    assert env["MY_KEY"] == "k-1"
    if agent == "claude":
        assert env["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9/v1"
    elif agent == "gemini":
        assert env["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:9/v1"
        settings = json.loads((Path(env["GEMINI_CLI_HOME"]) / ".gemini" / "settings.json").read_text())
        assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"
    else:
        config = json.loads(env["OPENCODE_CONFIG_CONTENT"])
        provider = config["provider"]["maestro"]
        assert provider["options"] == {"baseURL": "http://127.0.0.1:9/v1", "apiKey": "{env:MY_KEY}"}
        assert (config["model"], list(provider["models"])) == ("maestro/small", ["small"])
        assert config["permission"]["edit"] == "ask"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"argv": ["mine"], "options": {"base_url": "http://h"}}, "'base_url' belongs to a known agent"),
        ({"options": {"agent": "claude", "base_url": "h"}}, "must begin with http"),
        ({"options": {"agent": "claude", "base_url": "http://k@h"}}, "must not hold a key"),
        ({"options": {"agent": "claude", "key_env": "NOT_SET"}}, "variable NOT_SET is not set"),
        (
            {"options": {"agent": "claude", "schema": {"type": "odd"}}},
            "cannot be used: its schema is no JSON",
        ),
    ],
)
def test_a_wrong_address_key_or_schema_is_a_sentence_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, Any], reason: str
) -> None:
    an_agent(tmp_path, monkeypatch, "claude")
    with pytest.raises(InputError) as caught:
        performer_for(Persona.model_validate({"name": "w", "performer": "acp", **words}))
    assert reason in str(caught.value) and str(caught.value).endswith("Nothing was run.")


async def test_an_answer_is_asked_for_by_schema_and_held_to_it(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}
    script = {"prompt": [{"say": 'Good.\n```json\n{"score": 0.9}\n```\n'}]}
    result, _ = await perform(tmp_path, script, schema=schema)
    assert result.outputs == {"score": 0.9} and result.metrics == {"opinion": 0.9}
    assert '"required"' in (tmp_path / "script" / "prompt.txt").read_text()
    with pytest.raises(
        PerformerFailed, match=r"breaks its schema: \$: 'score' is a required property"
    ) as told:
        await perform(tmp_path, {"prompt": [{"say": "{}"}]}, schema=schema)
    assert told.value.kind == "result"
    with pytest.raises(PerformerFailed, match="gave none: its last word holds no JSON object"):
        await perform(tmp_path, {"prompt": [{"say": "Good."}]}, schema=schema)


# ── Permission ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_is_put_to_the_operator_with_what_is_needed_to_decide(tmp_path: Path) -> None:
    port = AnsweringPort("Allow once")
    wanted = ask(
        path=str(tmp_path / "workspace" / "app.py"),
        diff=["app.py", "a = 2\n", "a = 1\n"],
        then_write=["app.py", "a = 2\n"],
    )
    result, _ = await perform(tmp_path, {"prompt": [wanted]}, port, ask_timeout_seconds=42)
    [(question, options, default, timeout)] = port.asked
    assert question.splitlines() == [
        "Write app.py (edit)",
        "in app.py",
        "@@ -1 +1 @@",
        "-a = 1",
        "+a = 2",
    ]
    assert (options, default, timeout) == (["Allow once", "Always", "No"], "No", 42)
    assert (tmp_path / "script" / "answers").read_text() == "allow_once\n"
    assert (tmp_path / "workspace" / "app.py").read_text() == "a = 2\n"
    assert "refused" not in result.outputs


async def test_a_refusal_is_handed_on_and_recorded(tmp_path: Path) -> None:
    port = AnsweringPort("No")
    script = {"prompt": [ask(announced=True, raw={"command": "rm -r /"}), {"write": ["other.py", "x"]}]}
    result, _ = await perform(tmp_path, script, port)
    assert port.asked[0][0].splitlines() == ["Write app.py (edit)", '{"command": "rm -r /"}']
    assert (tmp_path / "script" / "answers").read_text() == "reject_once\n"
    assert result.outputs["refused"] == ["Write app.py"]


@pytest.mark.parametrize(
    ("permission", "options", "chosen"),
    [
        ("allow", CHOICES, "allow_once"),
        ("allow", [["allow_always", "Always"], ["reject_once", "No"]], "allow_always"),
        ("allow", [["reject_once", "No"]], "cancelled"),
        ("deny", CHOICES, "reject_once"),
        ("deny", [["allow_once", "Yes"], ["reject_always", "Never"]], "reject_always"),
        ("deny", [["allow_once", "Yes"]], "cancelled"),
    ],
)
async def test_a_set_policy_asks_nobody_and_prefers_what_holds_once(
    tmp_path: Path, permission: str, options: list[list[str]], chosen: str
) -> None:
    script = {"prompt": [ask(options=options), {"write": ["other.py", "x"]}]}
    _, port = await perform(tmp_path, script, permission=permission)
    assert port.asked == []
    assert (tmp_path / "script" / "answers").read_text() == chosen + "\n"
    word = "permitted" if chosen.startswith("allow") else "refused"
    assert f"{word} (as set): Write app.py" in port.text


async def test_where_no_refusal_is_offered_there_is_one_of_ours(tmp_path: Path) -> None:
    port = AnsweringPort("Refuse")
    options = [["allow_once", "Yes"], ["allow_always", "Yes"]]
    await perform(tmp_path, {"prompt": [ask(options=options), {"write": ["other.py", "x"]}]}, port)
    assert port.asked[0][1:3] == (["Yes", "Yes (allow always)", "Refuse"], "Refuse")
    assert (tmp_path / "script" / "answers").read_text() == "cancelled\n"


@pytest.mark.parametrize("permission", ["ask", "allow"])
async def test_a_reviewer_may_look_and_change_nothing(tmp_path: Path, permission: str) -> None:
    script = {"prompt": [ask(), ask(kind="execute"), ask(kind="read", title="Read app.py")]}
    port = AnsweringPort("Allow once")
    await perform(tmp_path, script, port, role="comment", permission=permission)
    assert (tmp_path / "script" / "answers").read_text().split() == [
        "reject_once",
        "reject_once",
        "allow_once",
    ]
    assert [question.partition("\n")[0] for question, *_ in port.asked] == ["Read app.py (read)"][
        : permission == "ask"
    ]


# ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reason", "words", "retry"),
    [
        ("max_tokens", "stopped at its limit of tokens before it had finished", True),
        ("max_turn_requests", "stopped at its limit of requests before it had finished", True),
        ("refusal", "refused the task", False),
        ("cancelled", "cancelled its own turn", True),
    ],
)
async def test_a_turn_that_did_not_end_by_itself_is_a_failure_with_its_cost(
    tmp_path: Path, reason: str, words: str, retry: bool
) -> None:
    with pytest.raises(PerformerFailed, match=words) as told:
        await perform(tmp_path, {"prompt": [{"tokens": [5, 6]}, {"reason": reason}]})
    assert told.value.retry is retry and told.value.usage == Usage(input_tokens=5, output_tokens=6)


@pytest.mark.parametrize("moment", ["initialize", "session/new", "prompt"])
async def test_an_agent_that_dies_says_when_and_with_which_last_words(tmp_path: Path, moment: str) -> None:
    with pytest.raises(PerformerFailed) as told:
        await perform(tmp_path, {moment: [{"err": "out of memory"}, {"die": 7}]})
    method = f"session/{moment}" if moment == "prompt" else moment
    assert f"ended with exit code 7 before it had answered '{method}'; its last line: out of memory" in str(
        told.value
    )
    assert told.value.kind == "exit" and told.value.tail == ("out of memory",)


async def test_an_agent_that_dies_while_it_asks_waits_for_no_answer(tmp_path: Path) -> None:
    port = AnsweringPort()
    persona = scripted(tmp_path, {"prompt": [{"touch": "asking"}, ask()]})
    run = asyncio.ensure_future(perform(tmp_path, persona, port))
    async with asyncio.timeout(60):
        while not port.asked:
            await asyncio.sleep(0.02)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and _runs(int(name), str(tmp_path))]
    assert len(pids) == 1
    os.kill(pids[0], 9)
    with pytest.raises(
        PerformerFailed, match=r"was killed by SIGKILL \(9\) before it had answered 'session/prompt'"
    ):
        await run
    assert port.withdrawn == 1


def _runs(pid: int, words: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return words in command and "agent.py" in command


async def test_what_is_no_message_goes_to_the_log_and_harms_nothing(tmp_path: Path) -> None:
    raw = [
        "hello",
        "[1]",
        "{}",
        '{"id": [1]}',
        '{"method": 5}',
        '{"id": 1, "error": [1]}',
        "\udcff\udcfe",
        "[" * 9_000,
    ]
    raw += [
        '{"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": {"new": 1}}}'
    ]
    raw += [
        '{"jsonrpc": "2.0", "method": "of/tomorrow", "params": 3}',
        '{"jsonrpc": "2.0", "id": 999, "result": 1}',
    ]
    result, port = await perform(
        tmp_path, {"prompt": [*({"raw": line} for line in raw), {"say": "still here"}]}
    )
    assert result.outputs["text"] == "still here"
    assert [text for _, text in port.lines][:3] == ["hello", "[1]", "{}"]
    assert any("session/update of the agent cannot be read" in text for _, text in port.lines)


async def test_a_program_that_is_no_agent_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acp_turn, "START_SECONDS", 3.0)
    persona = Persona(name="w", performer="acp", argv=("sh", "-c", "echo Welcome to the shop; sleep 600"))
    with pytest.raises(PerformerFailed) as told:
        await perform(tmp_path, persona)
    assert (
        "did not answer 'initialize' within 3 s. It may be no ACP agent: it wrote 'Welcome to the shop'"
        in str(told.value)
    )


async def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="The program 'no-such-agent' was not found on PATH"):
        await perform(tmp_path, Persona(name="w", performer="acp", argv=("no-such-agent",)))


async def test_another_version_of_the_protocol_is_told(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="speaks version 9 of the protocol, not 1"):
        await perform(tmp_path, {"version": 9})


@pytest.mark.parametrize(
    ("error", "words", "retry", "wait"),
    [
        (
            [-32000, "Authentication required"],
            r"is not signed in: Authentication required\. .*name the variable that holds its key",
            False,
            None,
        ),
        (
            [-32603, "Internal error", {"details": "rate limit reached, try again in 20s"}],
            r"with an error: Internal error \(rate limit reached, try again in 20s\)\. Its provider's rate limit",
            True,
            20.0,
        ),
        ([-32603, "Internal error", {"details": "no such tool"}], r"\(no such tool\)\.$", True, None),
    ],
)
async def test_an_error_of_the_agent_is_told_in_its_words(
    tmp_path: Path, error: list[Any], words: str, retry: bool, wait: float | None
) -> None:
    with pytest.raises(PerformerFailed, match=words) as told:
        await perform(tmp_path, {"session/new": [{"error": error}]})
    assert told.value.retry is retry and told.value.retry_after == wait


async def test_a_refused_agent_that_changed_nothing_has_failed_whatever_it_says(tmp_path: Path) -> None:
    port = AnsweringPort("No", "No")
    script = {"prompt": [ask(), {"say": "All done."}]}
    with pytest.raises(
        PerformerFailed, match=r"was refused what it asked for \(Write app.py\) and changed nothing"
    ) as told:
        await perform(tmp_path, script, port)
    assert told.value.retry is False
    changed = {"prompt": [ask(), {"write": ["other.py", "x"]}, {"say": "All done."}]}
    result, _ = await perform(tmp_path, changed, port)
    assert result.outputs == {"text": "All done.", "refused": ["Write app.py"]}


async def test_cancelling_tells_the_agent_and_ends_its_whole_group(tmp_path: Path) -> None:
    script = {"prompt": [{"child": "child"}, {"touch": "busy"}, {"hang_until_cancelled": True}]}
    run = asyncio.ensure_future(perform(tmp_path, script))
    workspace = tmp_path / "workspace"
    async with asyncio.timeout(60):
        while not (workspace / "busy").exists():
            await asyncio.sleep(0.02)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (tmp_path / "script" / "was-cancelled").exists()
    child = int((workspace / "child").read_text())
    wait_until(lambda: not alive(child), "the agent's child ended")


async def test_an_agent_that_does_not_listen_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acp_turn, "CANCEL_SECONDS", 0.3)
    script = {"prompt": [{"child": "child"}, ask(), {"hang": True}]}
    port = AnsweringPort()
    run = asyncio.ensure_future(perform(tmp_path, script, port))
    async with asyncio.timeout(60):
        while not port.asked:
            await asyncio.sleep(0.02)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert port.withdrawn == 1
    child = int((tmp_path / "workspace" / "child").read_text())
    wait_until(lambda: not alive(child), "the agent's child ended")


async def test_a_log_that_cannot_be_written_ends_the_turn(tmp_path: Path) -> None:
    class FullDisk(AnsweringPort):
        def line(self, text: str, stream: str = "out") -> None:
            raise StoreError("The disk is full.")

    with pytest.raises(StoreError, match="The disk is full"):
        await perform(tmp_path, {"prompt": [{"say": "one\n"}, {"hang": True}]}, FullDisk())


# ── Options ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({}, r"needs either argv = .* or options = \{ agent"),
        ({"argv": ["x"], "options": {"agent": "gemini"}}, "one of the two"),
        ({"argv": ["x"], "options": {"permision": "ask"}}, r"option 'permision' .* It has agent, permission"),
        ({"options": {"agent": "cursor"}}, "option 'agent'"),
        ({"argv": ["x"], "options": {"ask_timeout_seconds": 0}}, "option 'ask_timeout_seconds'"),
    ],
)
def test_wrong_options_are_a_sentence_before_anything_runs(words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        performer_for(Persona.model_validate({"name": "w", "performer": "acp", **words}))


def test_what_is_missing_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acp.shutil, "which", lambda name: None)
    with pytest.raises(
        InputError, match=r"'gemini', which is not on PATH: npm install -g @google/gemini-cli"
    ):
        performer_for(Persona(name="w", performer="acp", options={"agent": "gemini"}))
    monkeypatch.setattr(acp.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'maestro-tui\[acp\]'"):
        performer_for(Persona(name="w", performer="acp", argv=("x",)))


def test_checking_the_options_does_not_import_the_library() -> None:
    import subprocess

    code = (
        "import sys; from maestro_tui.model.persona import Persona\n"
        "from maestro_tui.performers.registry import performer_for\n"
        "performer_for(Persona(name='w', performer='acp', argv=('x',))); print('acp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
