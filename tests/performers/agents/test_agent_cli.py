"""The performer: how an agent is called, watched and ended, and what of its word is believed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.context import Usage
from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.agent_cli import AgentCliPerformer
from maestro_tui.performers.agents.options import AgentOptions
from maestro_tui.performers.port import PerformerFailed, PerformerResult
from maestro_tui.performers.registry import performer_for
from tests.performers.agents.streams import (
    CLAUDE,
    STREAMS,
    claude_message,
    claude_result,
    lines,
)
from tests.performers.bench_fixtures import RememberingPort, make_task
from tests.waiting import wait_until

README = Path(__file__).parents[3] / "README.md"
Replay = Callable[..., Path]
WRITE = "open('made.txt', 'w').write('made')"
DENIED = lines(
    claude_result(
        "I wrote it.", permission_denials=[{"tool_name": "Write", "tool_input": {"file_path": "a.txt"}}]
    )
)


def persona(agent: str | None = None, **words: Any) -> Persona:
    options = {**({"agent": agent} if agent else {}), **words.pop("options", {})}
    return Persona.model_validate({"name": "writer", "performer": "agent_cli", "options": options, **words})


async def perform(
    tmp_path: Path, who: Persona, port: RememberingPort | None = None, **changes: Any
) -> PerformerResult:
    task = replace(make_task(tmp_path, who), **changes)
    return await AgentCliPerformer(who).perform(task, port or RememberingPort())


async def until(condition: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


def arguments(folder: Path) -> list[str]:
    return (folder / "argv").read_text().split("\0")


def environment(folder: Path) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in (folder / "env").read_text().split("\0"))


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


@pytest.mark.parametrize("agent", sorted(STREAMS))
async def test_an_agents_last_word_and_spending_become_the_result(
    tmp_path: Path, replay: Replay, agent: str
) -> None:
    folder = replay(agent, STREAMS[agent])
    port = RememberingPort()
    result = await perform(tmp_path, persona(agent), port)
    assert result.outputs == {"text": "Done."} and result.summary == "Done."
    assert result.usage.output_tokens
    assert result.metrics == {} and result.decisions == ()
    assert "The list must show 20 rows." in (folder / "prompt").read_text()


@pytest.mark.parametrize(
    ("agent", "flag", "work", "review"),
    [
        ("claude", "--permission-mode", "acceptEdits", "plan"),
        ("codex", "-s", "workspace-write", "read-only"),
        ("gemini", "--approval-mode", "auto_edit", "default"),
    ],
)
async def test_a_review_runs_read_only(
    tmp_path: Path, replay: Replay, agent: str, flag: str, work: str, review: str
) -> None:
    folder = replay(agent, STREAMS[agent])
    await perform(tmp_path, persona(agent))
    assert after(arguments(folder), flag) == work
    generous = {"claude": "bypassPermissions", "codex": "danger-full-access", "gemini": "yolo"}[agent]
    await perform(tmp_path, persona(agent, options={"permission_mode": generous}))
    assert after(arguments(folder), flag) == generous
    await perform(tmp_path, persona(agent, options={"permission_mode": generous}), role="comment")
    assert after(arguments(folder), flag) == review


async def test_a_review_by_opencode_may_neither_edit_nor_run_commands(tmp_path: Path, replay: Replay) -> None:
    folder = replay("opencode", STREAMS["opencode"])
    await perform(tmp_path, persona("opencode", options={"permission_mode": "auto"}), role="comment")
    permission = json.loads(environment(folder)["OPENCODE_CONFIG_CONTENT"])["permission"]
    assert permission["edit"] == permission["bash"] == "deny" and "--auto" not in arguments(folder)
    await perform(tmp_path, persona("opencode", options={"permission_mode": "auto"}))
    assert "--auto" in arguments(folder)


async def test_model_budget_address_and_further_arguments_reach_claude(
    tmp_path: Path, replay: Replay
) -> None:
    folder = replay("claude", CLAUDE)
    options = {
        "model": "opus",
        "base_url": "http://127.0.0.1:9",
        "extra_args": ["--allowedTools", "Bash(make:*)"],
    }
    await perform(tmp_path, persona("claude", options=options, budget={"cost_usd": 1.5}))
    words = arguments(folder)
    assert after(words, "--model") == "opus" and after(words, "--max-budget-usd") == "1.5"
    assert words[-2:] == ["--allowedTools", "Bash(make:*)"]
    assert environment(folder)["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"


async def test_an_address_of_ones_own_gets_the_key_that_the_persona_names(
    tmp_path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-key")
    options = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "key_env": "MY_KEY"}
    folder = replay("codex", STREAMS["codex"])
    await perform(tmp_path, persona("codex", options=options))
    provider = next(word for word in arguments(folder) if word.startswith("model_providers."))
    assert 'env_key = "MY_KEY"' in provider and 'base_url = "http://127.0.0.1:9/v1"' in provider
    assert environment(folder)["MY_KEY"] == "secret-key"
    folder = replay("opencode", STREAMS["opencode"])
    await perform(tmp_path, persona("opencode", options=options))
    config = environment(folder)["OPENCODE_CONFIG_CONTENT"]
    assert "{env:MY_KEY}" in config and "secret-key" not in config
    assert after(arguments(folder), "-m") == "maestro/m"


async def test_opencodes_own_configuration_is_added_to_and_not_replaced(
    tmp_path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = replay("opencode", STREAMS["opencode"])
    who = persona("opencode", env=["OPENCODE_CONFIG_CONTENT"])
    monkeypatch.setenv(
        "OPENCODE_CONFIG_CONTENT", '{"permission": "ask", "provider": {"mine": {}}, "theme": "x"}'
    )
    await perform(tmp_path, who, role="comment")
    config = json.loads(environment(folder)["OPENCODE_CONFIG_CONTENT"])
    assert config["theme"] == "x" and config["provider"] == {"mine": {}}
    assert config["permission"]["*"] == "ask" and config["permission"]["edit"] == "deny"
    monkeypatch.setenv("OPENCODE_CONFIG_CONTENT", "{ // with comments\n}")
    with pytest.raises(PerformerFailed, match="holds no configuration in plain JSON"):
        await perform(tmp_path, who)


async def test_a_google_login_is_not_shown_to_an_address_of_ones_own(tmp_path: Path, replay: Replay) -> None:
    folder = replay("gemini", STREAMS["gemini"])
    await perform(tmp_path, persona("gemini", options={"base_url": "http://127.0.0.1:9"}))
    home = Path(environment(folder)["GEMINI_CLI_HOME"])
    assert home.is_relative_to(tmp_path / "scratch")
    settings = json.loads((home / ".gemini" / "settings.json").read_text())
    assert settings["security"]["auth"]["selectedType"] == "gemini-api-key"


async def test_secrets_are_not_passed_on_unless_named_and_the_terminal_is_dumb(
    tmp_path: Path, replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "named")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    folder = replay("claude", CLAUDE)
    await perform(tmp_path, persona("claude", env=["ANTHROPIC_API_KEY"]))
    env = environment(folder)
    assert env["ANTHROPIC_API_KEY"] == "named" and "AWS_SECRET_ACCESS_KEY" not in env
    assert env["TERM"] == "dumb" and env["HOME"] == os.environ["HOME"]


async def test_an_agent_may_have_a_home_of_its_own(tmp_path: Path, replay: Replay) -> None:
    folder = replay("claude", CLAUDE)
    await perform(tmp_path, persona("claude", options={"home": "private"}))
    env = environment(folder)
    assert Path(env["HOME"]).is_relative_to(tmp_path / "scratch") and Path(env["HOME"]).is_dir()
    assert env["XDG_CONFIG_HOME"] == f"{env['HOME']}/.config"
    await perform(tmp_path, persona("claude", options={"home": str(tmp_path / "agents")}))
    assert environment(folder)["HOME"] == str(tmp_path / "agents")
    assert (tmp_path / "agents").stat().st_mode & 0o777 == 0o700


async def test_the_whole_prompt_arrives_and_what_is_left_out_is_told(tmp_path: Path, replay: Replay) -> None:
    folder = replay("claude", CLAUDE)
    who, port = persona("claude"), RememberingPort()
    outputs = {"design": {"plan": "ü" * 150_000}, "requirements": {"text": "x" * 150_000}}
    task = make_task(tmp_path, who, phase="implementation", outputs=outputs)
    await AgentCliPerformer(who).perform(task, port)
    prompt = (folder / "prompt").read_text()
    assert "ü" * 150_000 in prompt and "x" * 150_000 not in prompt
    (trimmed,) = [data for type, data in port.events if type == "context_trimmed"]
    assert [one["what"] for one in trimmed["left_out"]] == ["Outputs of requirements"]
    given = Path(after(arguments(folder), "--add-dir"))
    context = json.loads((given / "context.json").read_text())
    assert context["outputs"]["requirements"]["text"] == "x" * 150_000
    assert str(given / "context.json") in prompt
    assert (task.scratch / "prompt.md").stat().st_mode & 0o077 == 0


SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}


async def test_a_structured_answer_becomes_the_outputs_and_its_score_an_opinion(
    tmp_path: Path, replay: Replay
) -> None:
    folder = replay("claude", lines(claude_result("{}", structured_output={"score": 0.9, "summary": "good"})))
    result = await perform(tmp_path, persona("claude", options={"schema": SCHEMA}))
    assert result.outputs == {"score": 0.9, "summary": "good"} and result.metrics == {"opinion": 0.9}
    assert result.summary == "good"
    assert json.loads(after(arguments(folder), "--json-schema")) == SCHEMA


async def test_an_agent_that_takes_no_schema_is_asked_for_one_in_the_prompt(
    tmp_path: Path, replay: Replay
) -> None:
    said = 'First {"score": 0.1}, then:\n```json\n{"score": 0.7}\n```\n'
    stream = lines(
        {"type": "message", "role": "assistant", "content": said, "delta": True},
        {"type": "result", "status": "success", "stats": {}},
    )
    folder = replay("gemini", stream)
    result = await perform(tmp_path, persona("gemini", options={"schema": SCHEMA}))
    assert result.outputs == {"score": 0.7} and result.metrics == {"opinion": 0.7}
    assert '"required"' in (folder / "prompt").read_text()


@pytest.mark.parametrize(
    ("structured", "reason"),
    [
        (None, "its last word holds no JSON object"),
        ([1], "it gave list where an object was asked for"),
        ({"a": json.loads("[" * 200 + "]" * 200)}, "nested more than 100 levels deep"),
    ],
)
async def test_a_missing_structured_answer_is_a_failure(
    tmp_path: Path, replay: Replay, structured: Any, reason: str
) -> None:
    replay("claude", lines(claude_result("Looks good.", structured_output=structured)))
    with pytest.raises(PerformerFailed, match=reason) as caught:
        await perform(tmp_path, persona("claude", options={"schema": SCHEMA}))
    assert caught.value.kind == "result" and caught.value.usage.cost_usd == 0.0125


@pytest.mark.parametrize("agent", ["claude", "gemini"])
async def test_an_answer_that_breaks_its_schema_is_a_failure_that_names_the_place(
    tmp_path: Path, replay: Replay, agent: str
) -> None:
    broken = {"score": "high"}
    replay(
        agent,
        lines(claude_result("{}", structured_output=broken))
        if agent == "claude"
        else lines(
            {"type": "message", "role": "assistant", "content": json.dumps(broken), "delta": True},
            {"type": "result", "status": "success", "stats": {}},
        ),
    )
    with pytest.raises(PerformerFailed) as caught:
        await perform(tmp_path, persona(agent, options={"schema": SCHEMA}))
    assert str(caught.value) == (
        f"The agent '{agent}' of persona 'writer' gave an answer that breaks its schema: "
        "$.score: 'high' is not of type 'number'."
    )
    assert caught.value.kind == "result" and caught.value.retry


async def test_a_claim_of_success_after_denials_that_left_nothing_is_a_failure(
    tmp_path: Path, replay: Replay
) -> None:
    replay("claude", DENIED)
    with pytest.raises(PerformerFailed) as caught:
        await perform(tmp_path, persona("claude"))
    assert str(caught.value) == (
        "The agent 'claude' of persona 'writer' was not allowed to use Write (a.txt) and changed nothing in the "
        "workspace; its own word that it is done counts for nothing. Allow more with permission_mode, or single "
        'tools by extra_args = ["--allowedTools", "Bash(pytest:*)"].'
    )
    assert not caught.value.retry and caught.value.usage.output_tokens == 15


async def test_denials_beside_real_work_are_told_in_summary_and_decisions(
    tmp_path: Path, replay: Replay
) -> None:
    replay("claude", DENIED, WRITE)
    result = await perform(tmp_path, persona("claude"))
    assert result.summary == "I wrote it. (not allowed: Write (a.txt))"
    assert [(one.about, one.choice) for one in result.decisions] == [("permissions", "denied: Write (a.txt)")]


async def test_a_file_that_was_there_before_is_no_work_of_an_agent_that_was_denied(
    tmp_path: Path, replay: Replay
) -> None:
    replay("claude", DENIED)
    who = persona("claude")
    task = make_task(tmp_path, who)
    (task.workspace / "old.txt").write_text("old")
    with pytest.raises(PerformerFailed, match="changed nothing"):
        await AgentCliPerformer(who).perform(task, RememberingPort())


async def test_a_reviewer_that_was_denied_a_write_has_still_reviewed(tmp_path: Path, replay: Replay) -> None:
    replay("claude", DENIED)
    result = await perform(tmp_path, persona("claude"), role="comment")
    assert result.outputs == {"text": "I wrote it."} and "not allowed" in result.summary


async def test_an_agent_that_hangs_after_its_final_event_is_ended_and_its_result_taken(
    tmp_path: Path, replay: Replay
) -> None:
    folder = replay("claude", CLAUDE, "(here / 'pid').write_text(str(os.getpid()))\ntime.sleep(600)")
    waited: list[float] = []
    port = RememberingPort()

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await until((folder / "pid").exists, "the agent hangs")

    who = persona("claude", options={"linger_seconds": 3})
    performer = AgentCliPerformer(who, sleep=sleep)
    result = await performer.perform(make_task(tmp_path, who), port)
    assert result.outputs == {"text": "Done."} and waited == [3.0]
    assert "claude did not end within 3 s of its final event" in port.text
    assert not _lives(int((folder / "pid").read_text()))


async def test_an_agent_that_goes_on_after_its_final_event_is_not_interrupted(
    tmp_path: Path, replay: Replay
) -> None:
    more = lines(claude_message({"type": "text", "text": "One thing more."}), claude_result("Really done."))
    gate = tmp_path / "gate"
    then = (
        f"gate = pathlib.Path({str(gate)!r})\nwhile not gate.exists(): time.sleep(0.01)\n"
        f"sys.stdout.write({more!r}); sys.stdout.flush()"
    )
    replay("claude", CLAUDE, then)
    port, rounds = RememberingPort(), 0

    async def sleep(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        gate.touch()
        # The second round is over before it says more; the third never ends: the agent has ended by then.
        await until(lambda: "One thing more." in port.text, "it says more")
        if rounds > 1:
            await asyncio.Event().wait()

    who = persona("claude")
    result = await AgentCliPerformer(who, sleep=sleep).perform(make_task(tmp_path, who), port)
    assert result.outputs == {"text": "Really done."} and "did not end" not in port.text


async def test_grandchildren_that_an_agent_leaves_behind_are_ended_with_it(
    tmp_path: Path, replay: Replay
) -> None:
    then = "child = subprocess.Popen(['sleep', '600'])\n(here / 'pid').write_text(str(child.pid))"
    folder = replay("codex", STREAMS["codex"], then)
    result = await perform(tmp_path, persona("codex"))
    assert result.outputs == {"text": "Done."}
    assert not _lives(int((folder / "pid").read_text()))


async def test_cancelling_ends_the_agent_and_all_that_it_started(tmp_path: Path, replay: Replay) -> None:
    then = (
        "child = subprocess.Popen(['sleep', '600'])\n(here / 'pids').write_text(f'{os.getpid()} {child.pid}')\n"
        "child.wait()"
    )
    folder = replay("claude", CLAUDE.splitlines()[0] + "\n", then)
    work = asyncio.create_task(perform(tmp_path, persona("claude")))
    pids = folder / "pids"
    await until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the agent has a child")
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [number for number in pids.read_text().split() if _lives(int(number))] == []


async def test_a_refused_key_ends_the_agent_without_waiting_for_its_own_tries(
    tmp_path: Path, replay: Replay
) -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10}
    retry |= {"retry_delay_ms": 500, "error_status": 401, "error": "authentication_failed"}
    replay("claude", lines(retry), "time.sleep(600)")
    with pytest.raises(PerformerFailed, match="its provider refused the login or key") as caught:
        await perform(tmp_path, persona("claude"))
    assert not caught.value.retry
    assert "set ANTHROPIC_API_KEY and name it in the persona's env" in str(caught.value)


async def test_a_rate_limit_is_a_failure_that_says_how_long_to_wait(tmp_path: Path, replay: Replay) -> None:
    said = "Rate limit reached. Please try again in 20s."
    replay("codex", lines({"type": "turn.failed", "error": {"message": said}}), "sys.exit(1)")
    with pytest.raises(
        PerformerFailed, match="rate limit or quota is used up; it said: Rate limit"
    ) as caught:
        await perform(tmp_path, persona("codex"))
    assert caught.value.retry and caught.value.retry_after == 20


async def test_a_failing_exit_code_is_told_with_the_last_line_in_human_words(
    tmp_path: Path, replay: Replay
) -> None:
    replay("claude", CLAUDE.splitlines()[1] + "\n", "sys.stderr.write('disk full\\n'); sys.exit(3)")
    with pytest.raises(PerformerFailed, match="ended with exit code 3; its last line: disk full") as caught:
        await perform(tmp_path, persona("claude"))
    assert caught.value.kind == "exit" and caught.value.usage == Usage(input_tokens=111)
    assert "I begin." in caught.value.tail and not any("{" in line for line in caught.value.tail)


async def test_a_missing_login_is_recognised_on_standard_error(tmp_path: Path, replay: Replay) -> None:
    replay("gemini", "", "sys.stderr.write('Please set an Auth method in settings.json\\n'); sys.exit(41)")
    with pytest.raises(PerformerFailed, match=r"refused the login or key.*GEMINI_API_KEY") as caught:
        await perform(tmp_path, persona("gemini"))
    assert not caught.value.retry


async def test_an_agent_that_ends_well_without_its_final_event_has_failed(
    tmp_path: Path, replay: Replay
) -> None:
    replay("claude", "".join(CLAUDE.splitlines(keepends=True)[:-1]), WRITE)
    with pytest.raises(PerformerFailed, match="ended without its final event") as caught:
        await perform(tmp_path, persona("claude"))
    assert caught.value.kind == "result"


async def test_a_good_last_word_beside_a_bad_exit_code_is_not_believed(
    tmp_path: Path, replay: Replay
) -> None:
    replay("claude", CLAUDE, "sys.exit(9)")
    with pytest.raises(PerformerFailed, match="exit code 9"):
        await perform(tmp_path, persona("claude"))


# Programs of the operator's own


def script(code: str, *words: str) -> list[str]:
    return [sys.executable, "-c", code, *words]


async def test_a_program_of_ones_own_gets_the_prompt_in_its_place(tmp_path: Path) -> None:
    say = "import sys; print(sys.argv[1].count('20 rows'), repr(sys.stdin.read()))"
    result = await perform(tmp_path, persona(argv=script(say, "Ask: {prompt}")))
    assert result.outputs == {"text": "1 ''"}
    read = "import sys; print(open(sys.argv[1]).read().count('20 rows'), repr(sys.stdin.read()))"
    result = await perform(tmp_path, persona(argv=script(read, "{prompt_file}"), options={"format": "text"}))
    assert result.outputs == {"text": "1 ''"}
    stdin = "import sys; print(sys.stdin.read().count('20 rows'))"
    result = await perform(tmp_path, persona(argv=script(stdin)))
    assert result.outputs == {"text": "1"}


async def test_a_prompt_in_an_argument_is_cut_to_what_an_argument_can_hold(tmp_path: Path) -> None:
    who, port = persona(argv=script("import sys; print(len(sys.argv[1]))", "{prompt}")), RememberingPort()
    task = replace(make_task(tmp_path, who), requirement="ü" * 90_000)
    result = await AgentCliPerformer(who).perform(task, port)
    assert 10_000 < int(result.outputs["text"]) < 40_000
    assert [type for type, _ in port.events] == ["context_trimmed"]


async def test_a_program_of_ones_own_may_speak_json_lines(tmp_path: Path) -> None:
    stream = lines(
        {"type": "text", "text": "thinking"},
        {"type": "tool", "tool": "edit", "summary": "a.py"},
        {"type": "denied", "tool": "shell", "summary": "rm -r"},
        {"type": "usage", "input_tokens": 5, "output_tokens": 2},
        {"type": "final", "text": "done", "outputs": {"module": "a.py", "score": 0.5}},
    )
    code = f"import sys; sys.stdin.read(); open('a.py', 'w'); sys.stdout.write({stream!r})"
    port = RememberingPort()
    result = await perform(tmp_path, persona(argv=script(code), options={"format": "ndjson"}), port)
    assert (
        result.outputs == {"module": "a.py", "score": 0.5}
        and result.summary == "done (not allowed: shell (rm -r))"
    )
    # Nobody asked for a score, so it is one of its outputs and no opinion.
    assert result.metrics == {} and result.usage == Usage(input_tokens=5, output_tokens=2)
    assert [data["tool"] for type, data in port.events if type == "tool_called"] == ["edit", "shell"]


async def test_a_program_of_ones_own_that_fails_or_is_missing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PerformerFailed, match="exit code 2; its last line: no"):
        await perform(tmp_path, persona(argv=script("import sys; print('no'); sys.exit(2)")))
    failing = f"print({json.dumps({'type': 'final', 'error': 'overloaded'})!r})"
    with pytest.raises(PerformerFailed, match="out of order or overloaded"):
        await perform(tmp_path, persona(argv=script(failing), options={"format": "ndjson"}))
    with pytest.raises(PerformerFailed, match="'no-such-agent' was not found on PATH") as caught:
        await perform(tmp_path, persona(argv=["no-such-agent", "{prompt}"]))
    assert not caught.value.retry


# Options


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({}, "needs either options = { agent"),
        ({"argv": ["a"], "options": {"agent": "claude"}}, "one of the two"),
        (
            {"options": {"agent": "cloud"}},
            "'agent' input should be 'claude', 'codex', 'gemini' or 'opencode'",
        ),
        ({"options": {"agent": "claude", "modle": "x"}}, "'modle' is not known (known: agent, model, "),
        (
            {"options": {"agent": "claude", "permission_mode": "yolo"}},
            "claude has no permission_mode 'yolo'; it has",
        ),
        ({"options": {"agent": "claude", "base_url": "ftp://x"}}, "'base_url' must begin with http://"),
        ({"options": {"agent": "claude", "base_url": "http://me:secret@h"}}, "must not hold a key"),
        ({"options": {"agent": "claude", "key_env": "sk-1-2"}}, "'key_env' "),
        ({"options": {"agent": "claude", "format": "text"}}, "'format' belongs to an argv of its own"),
        ({"options": {"agent": "claude", "linger_seconds": -1}}, "'linger_seconds' input should be greater"),
        ({"options": {"agent": "claude", "schema": "x"}}, "'schema' input should be a valid dictionary"),
        (
            {"options": {"agent": "claude", "schema": {"type": "odd"}}},
            "'schema' cannot be used: its schema is no",
        ),
        ({"options": {"agent": "claude", "extra_args": ["\0"]}}, "'extra_args' must not contain nul"),
        ({"options": {"agent": "codex", "key_env": "KEY"}}, "the environment variable KEY is not set"),
        ({"argv": ["a"], "options": {"model": "x"}}, "'model' belongs to a known agent"),
    ],
)
def test_wrong_options_are_a_sentence_before_anything_runs(
    replay: Replay, words: dict[str, Any], reason: str
) -> None:
    replay("claude", "")
    with pytest.raises(InputError) as caught:
        performer_for(persona(**words))
    assert reason in str(caught.value) and str(caught.value).endswith("Nothing was run.")


def test_the_personas_in_the_readme_are_taken_as_printed(replay: Replay) -> None:
    replay("claude", "")
    section = README.read_text(encoding="utf-8").split("\n## Agents\n")[1].split("\n## ")[0]
    block = section.split("```toml\n")[1].split("```")[0]
    workflow = Workflow.parse(f'name = "x"\n[[phases]]\nname = "work"\n{block}')
    assert [one.name for one in workflow.phases[0].personas] == ["developer", "reviewer"]
    for one in workflow.phases[0].personas:
        assert isinstance(performer_for(one), AgentCliPerformer)
    options = section.split("| option |")[1]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", options, re.M)))
    assert sorted([*named, "agent"]) == sorted(
        field.alias or name for name, field in AgentOptions.model_fields.items()
    )


def test_an_agent_that_is_not_installed_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        performer_for(persona("codex"))
    assert str(caught.value) == (
        "Persona 'writer' (performer agent_cli) needs the program 'codex', which is not on PATH. Install it with "
        "`npm install -g @openai/codex`, then try again. Nothing was run."
    )


def _lives(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
