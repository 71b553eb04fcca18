"""Streams: what each agent's lines become, and what none of them can do to us."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.model.context import Usage
from maestro_tui.performers.agents.events import Denied, Final, Notice, Spent
from maestro_tui.performers.agents.json_lines import record_of
from maestro_tui.performers.agents.transcript import TEXT_LIMIT, Transcript
from tests.performers.agents.streams import (
    STREAMS,
    claude_message,
    claude_result,
    claude_tool,
    events,
    lines,
    opencode_step,
    opencode_tool,
    read,
)
from tests.performers.bench_fixtures import RememberingPort

AGENTS = sorted(STREAMS)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_stream_shows_text_tools_usage_and_the_last_word(agent: str) -> None:
    transcript, port = read(agent, STREAMS[agent])
    assert transcript.final is not None and transcript.final.text == "Done."
    assert transcript.final.trouble is None and transcript.over.is_set()
    assert port.text.splitlines()[-1] == "Done."
    tools = [data for type, data in port.events if type == "tool_called"]
    assert [tool["summary"] for tool in tools][-1].removeprefix("add ") == "made.txt"
    assert any(line.startswith("→ ") and "made.txt" in line for _, line in port.lines)
    # Cached tokens are input, reasoning is output, for every agent.
    assert transcript.usage.input_tokens == {"claude": 225}.get(agent, 222)
    assert transcript.usage.output_tokens == {"claude": 15}.get(agent, 14)
    assert transcript.usage.cost_usd == {"claude": 0.0125}.get(agent)


@pytest.mark.parametrize("agent", ["claude", "gemini", "opencode"])
def test_text_comes_line_by_line_whole_and_before_the_tool_that_follows_it(agent: str) -> None:
    _, port = read(agent, STREAMS[agent])
    shown = [line for _, line in port.lines]
    assert shown[0] == "I begin."
    assert shown[1] in ("First the file.", "First") and shown[2].startswith("→ ")


def test_the_prompt_that_gemini_repeats_is_not_taken_for_an_answer() -> None:
    _, port = read("gemini", STREAMS["gemini"])
    assert "the whole prompt" not in port.text


def test_a_failed_command_of_codex_is_shown_with_its_exit_code() -> None:
    _, port = read("codex", STREAMS["codex"])
    assert "✗ shell: exit code 2: no rule" in port.text.splitlines()


def test_spending_is_told_in_all_and_never_goes_down() -> None:
    stream = lines(
        claude_message({"type": "text", "text": "a"}, id="1"),
        claude_message(claude_tool("Read", file_path="x"), id="1"),
        claude_message({"type": "text", "text": "b"}, id="2", tokens=40),
        claude_result(),
    )
    transcript, port = read("claude", stream)
    assert [usage.input_tokens for usage in port.spent] == [111, 111, 251]
    # Output and money are not known before the end, and are not called 0.
    assert [usage.output_tokens for usage in port.spent] == [None] * 3
    assert [usage.cost_usd for usage in port.spent] == [None] * 3
    # What the last word brings is in the result: no budget may throw away what is paid.
    assert (transcript.usage.input_tokens, transcript.usage.output_tokens) == (225, 15)


def test_a_price_that_opencode_does_not_know_is_unknown_and_not_free() -> None:
    transcript, _ = read("opencode", lines(opencode_step("stop")))
    assert transcript.usage.cost_usd is None
    transcript, _ = read("opencode", lines(opencode_step("tool-calls", 0.25), opencode_step("stop", 0.5)))
    assert transcript.usage.cost_usd == 0.75


DENIALS: dict[str, list[dict[str, Any]]] = {
    "claude": [
        claude_message(claude_tool("Write", file_path="/w/a.txt")),
        claude_result(
            "I wrote it.",
            permission_denials=[
                {"tool_name": "Write", "tool_use_id": "toolu_1", "tool_input": {"file_path": "/w/a.txt"}}
            ],
        ),
    ],
    "gemini": [
        {"type": "tool_use", "tool_name": "Write", "tool_id": "t", "parameters": {"file_path": "/w/a.txt"}},
        {
            "type": "tool_result",
            "tool_id": "t",
            "status": "error",
            "error": {"type": "tool_not_registered", "message": 'Tool "Write" not found.'},
        },
        {"type": "result", "status": "success", "stats": {}},
    ],
    "opencode": [
        opencode_tool(
            "Write",
            status="error",
            input={"filePath": "/w/a.txt"},
            error="The user rejected permission to use this specific tool call.",
        ),
        opencode_tool(
            "invalid",
            status="completed",
            input={"tool": "Write", "error": "Model tried to call unavailable tool 'Write'."},
        ),
        opencode_step("stop"),
    ],
}


@pytest.mark.parametrize("agent", sorted(DENIALS))
def test_a_denied_tool_is_known_as_such(agent: str) -> None:
    transcript, port = read(agent, lines(*DENIALS[agent]))
    assert {one.tool for one in transcript.denied} == {"Write"} and "Write (a.txt)" in transcript.denials
    assert any(data.get("denied") for type, data in port.events if type == "tool_called")
    assert "⊘ Write a.txt was not allowed" in port.text.splitlines()


def test_many_denials_are_counted_and_shortened() -> None:
    transcript, _ = read("claude", lines(*DENIALS["claude"]))
    transcript.denied = [Denied("Bash", "ls")] * 3 + [Denied("Write", f"{n}.txt") for n in range(9)]
    assert transcript.denials == (
        "Bash (ls ×3), Write (0.txt), Write (1.txt), Write (2.txt), Write (3.txt) and 5 more"
    ).replace("(ls ×3)", "(ls) ×3")


def test_a_provider_that_refuses_the_key_ends_claude_at_once() -> None:
    record = {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10}
    record |= {"retry_delay_ms": 538.4, "error_status": 401, "error": "authentication_failed"}
    transcript, port = read("claude", lines(record))
    assert transcript.hopeless is not None and transcript.hopeless.kind == "auth" and transcript.over.is_set()
    assert "authentication_failed (401); it waits 0.5 s and tries again (1 of 10)" in port.text


def test_a_provider_that_is_busy_is_waited_for_and_the_wait_is_shown() -> None:
    record = {"type": "system", "subtype": "api_retry", "attempt": 2, "max_retries": 10}
    record |= {"retry_delay_ms": 7000, "error_status": 429, "error": "rate_limit"}
    transcript, port = read("claude", lines(record))
    assert transcript.hopeless is None and not transcript.over.is_set()
    assert "rate_limit (429); it waits 7.0 s and tries again (2 of 10)" in port.text


def test_codex_reconnecting_after_a_refused_key_is_ended_at_once() -> None:
    said = "Reconnecting... 1/5 (unexpected status 401 Unauthorized: bad key, url: http://127.0.0.1:1/v1/responses)"
    (event,) = events("codex", [{"type": "error", "message": said}])
    assert isinstance(event, Notice) and event.trouble is not None and event.trouble.kind == "auth"
    (event,) = events("codex", [{"type": "error", "message": "Reconnecting... 1/5 (stream closed)"}])
    assert isinstance(event, Notice) and event.trouble is None


TROUBLES: list[tuple[str, dict[str, Any], str, float | None]] = [
    ("claude", claude_result("Invalid API key", is_error=True, api_error_status=401), "auth", None),
    (
        "claude",
        claude_result("API Error: (429) slow down", is_error=True, api_error_status=429),
        "limit",
        None,
    ),
    (
        "claude",
        claude_result("Credit balance is too low", is_error=True, api_error_status=400),
        "billing",
        None,
    ),
    ("claude", claude_result("usage limit reached|1000000060", is_error=True), "limit", 60.0),
    (
        "claude",
        claude_result(
            "", is_error=True, subtype="error_max_budget_usd", errors=["Reached maximum budget ($1)"]
        ),
        "budget",
        None,
    ),
    ("claude", claude_result("", is_error=True, subtype="error_during_execution"), "other", None),
    (
        "codex",
        {
            "type": "turn.failed",
            "error": {"message": "exceeded retry limit, last status: 429 Too Many Requests"},
        },
        "limit",
        None,
    ),
    (
        "codex",
        {"type": "turn.failed", "error": {"message": "We’re experiencing high demand"}},
        "overloaded",
        None,
    ),
    (
        "codex",
        {"type": "turn.failed", "error": {"message": "Rate limit. Please try again in 1.5s."}},
        "limit",
        1.5,
    ),
    (
        "gemini",
        {
            "type": "result",
            "status": "error",
            "error": {"message": '[API Error: {"error":{"code":401,"status":"UNAUTHENTICATED"}}]'},
        },
        "auth",
        None,
    ),
    (
        "gemini",
        {
            "type": "result",
            "status": "error",
            "error": {"message": "Quota exceeded. Please retry in 34.07s."},
        },
        "limit",
        34.07,
    ),
    (
        "opencode",
        {
            "type": "error",
            "error": {
                "name": "APIError",
                "data": {"message": "slow down", "statusCode": 429, "responseHeaders": {"retry-after": "7"}},
            },
        },
        "limit",
        7.0,
    ),
    (
        "opencode",
        {"type": "error", "error": {"name": "APIError", "data": {"message": "bad key", "statusCode": 401}}},
        "auth",
        None,
    ),
]


@pytest.mark.parametrize(("agent", "record", "kind", "wait"), TROUBLES)
def test_what_a_provider_refuses_is_told_apart(
    agent: str, record: dict[str, Any], kind: str, wait: float | None
) -> None:
    transcript, _ = read(agent, lines(record), now=1_000_000_000)
    assert transcript.final is not None and transcript.final.trouble is not None
    trouble = transcript.final.trouble
    assert (trouble.kind, trouble.retry_after) == (kind, wait)
    assert trouble.retry is (kind in ("limit", "overloaded", "other"))


@pytest.mark.parametrize("agent", AGENTS)
def test_a_stream_that_was_cut_off_has_no_final_event(agent: str) -> None:
    first = STREAMS[agent].splitlines()[0]
    transcript, _ = read(agent, first + "\n" + STREAMS[agent].splitlines()[-1][:40])
    assert transcript.final is None and not transcript.over.is_set()


@pytest.mark.parametrize("agent", AGENTS)
def test_a_line_of_five_megabytes_is_one_event(agent: str) -> None:
    big = "x" * 5_000_000
    stream = STREAMS[agent].replace('"content": "x"', f'"content": "{big}"').replace("no rule", big)
    assert len(stream) > 5_000_000
    transcript, port = read(agent, stream)
    assert transcript.final is not None and transcript.final.text == "Done."
    assert max(len(line) for _, line in port.lines) < 3_000


def test_a_last_word_without_end_keeps_its_end_and_says_so() -> None:
    transcript, port = read("claude", lines(claude_result("x" * TEXT_LIMIT + "end")))
    assert transcript.final is not None and transcript.final.text is not None
    assert len(transcript.final.text) == TEXT_LIMIT and transcript.final.text.endswith("end")
    assert "its last word has 1,000,003 characters" in port.text


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_no_event_is_shown_and_harms_nothing(agent: str) -> None:
    odd = [
        "not json",
        "[1, 2]",
        '{"type": ',
        "null",
        '{"type": "from the future", "x": 1}',
        "[" * 5000,
        "\x1b[2J",
        "{}",
    ]
    transcript, port = read(agent, "\n".join(odd) + "\n" + STREAMS[agent])
    assert transcript.final is not None and transcript.final.text == "Done."
    shown = [line for _, line in port.lines]
    assert shown[:3] == ["not json", "[1, 2]", '{"type": '] and "from the future" not in port.text


def test_numbers_that_are_none_are_unknown() -> None:
    usage = '{"input_tokens": 1e999, "output_tokens": NaN, "x": ' + "9" * 5000 + "}"
    line = '{"type": "turn.completed", "usage": ' + usage + "}"
    transcript, _ = read("codex", line)
    assert transcript.final is not None and transcript.usage == Usage()
    for bad in (-1, True, "7", 10**16, [], None, 1.5):
        (spent, _) = events("codex", [{"type": "turn.completed", "usage": {"input_tokens": bad}}])
        assert spent == Spent(Usage())


def test_hostile_text_stays_text() -> None:
    hostile = "\x1b]52;c;x\x07 [@click=app.quit] \u202e \ud800 [/]"
    transcript, port = read(
        "claude",
        lines(
            claude_message(claude_tool(hostile, file_path=hostile)),
            claude_result(hostile, is_error=True),
        ),
    )
    assert transcript.final is not None and transcript.final.trouble is not None
    data = next(data for type, data in port.events if type == "tool_called")
    for shown in (data["tool"], data["summary"], transcript.final.trouble.said, *transcript.tail):
        assert shown.isprintable()
    assert all(line.encode("utf-8") for _, line in port.lines)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("agent", AGENTS)
@given(seed=st.integers(0, 2**32), value=_values)
def test_no_shape_of_an_event_breaks_the_reading(agent: str, seed: int, value: Any) -> None:
    rolling = random.Random(seed)
    records = [json.loads(line) for line in (STREAMS[agent] + lines(*DENIALS.get(agent, []))).splitlines()]
    records += [record for name, record, _, _ in copy.deepcopy(TROUBLES) if name == agent]
    for record in records:
        _spoil(record, value, rolling)
    transcript, port = read(agent, lines(*records))
    assert all(line.encode("utf-8") for _, line in port.lines if line)
    spent = transcript.usage.model_dump(exclude_none=True).values()
    assert all(0 <= number < 10**17 for number in spent)
    assert json.dumps(port.events, allow_nan=False)


def _spoil(node: Any, value: Any, rolling: random.Random) -> None:
    """Put `value` somewhere into the record."""
    while isinstance(node, dict | list) and node:
        key = rolling.choice(list(node)) if isinstance(node, dict) else rolling.randrange(len(node))
        if rolling.random() < 0.4 or not isinstance(node[key], dict | list):
            node[key] = value
            return
        node = node[key]


def test_only_objects_are_records() -> None:
    assert record_of('{"a": 1}') == {"a": 1} and record_of(' {"a": 1.5}') == {"a": 1.5}
    assert record_of("[]") is record_of('"x"') is record_of("{") is record_of("") is None


def test_plain_text_is_what_a_program_says() -> None:
    port = RememberingPort()
    transcript = Transcript(port, None, "mine", lambda: 0.0, Path("/w"))
    transcript.take("one", "out")
    transcript.take("warning", "err")
    transcript.take("two", "out")
    assert not transcript.over.is_set()
    transcript.finish()
    assert transcript.final == Final("one\ntwo")
    assert port.lines == [("out", "one"), ("err", "warning"), ("out", "two")]
