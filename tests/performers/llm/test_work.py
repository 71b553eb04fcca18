"""A model's work: its answer becomes outputs, decisions and documents; lines and usage come on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from maestro_tui.model.context import Usage
from maestro_tui.performers.port import PerformerFailed
from tests.model_server.chat_completions import Hangs, Says, model_server
from tests.performers.bench_fixtures import RememberingPort
from tests.performers.llm.asking import KEY, WORK, perform, persona_at


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("output", ["tool", "json_schema", "prompted"])
async def test_each_form_of_answer_becomes_the_same_result(tmp_path: Path, output: str, stream: bool) -> None:
    with model_server(Says(WORK)) as server:
        result, port = await perform(tmp_path, persona_at(server, output=output, stream=stream))
    assert result.outputs == {"tables": 2}
    assert result.summary == "Two tables."
    assert result.metrics == {"opinion": 0.7}
    (decision,) = result.decisions
    assert (decision.about, decision.choice, decision.decided_by) == ("store", "SQL", "qwen3")
    assert decision.alternatives == ("files",)
    written = tmp_path / "workspace" / "docs" / "design.md"
    assert written.read_text() == '# Design\nA "quoted" word, é and 😀.\n'
    assert result.usage == Usage(input_tokens=100, output_tokens=20)
    assert port.spent == [], "the last answer is paid: it is taken, whatever it has cost"
    assert ("out", 'A "quoted" word, é and 😀.') in port.lines
    assert port.lines[-1] == ("out", "wrote docs/design.md")
    body = server.requests[0]["body"]
    asked = "tool" if "tools" in body else body.get("response_format", {}).get("type", "prompted")
    assert (asked, body["stream"]) == (output, stream)
    if output == "prompted":
        assert "Every file that you deliver, whole." in str(body["messages"]), (
            "the form is asked for in words"
        )


async def test_an_endpoint_is_asked_in_json_schema_mode_and_a_provider_by_tool(tmp_path: Path) -> None:
    with model_server(Says(WORK)) as server:
        await perform(tmp_path, persona_at(server))
        await perform(tmp_path, persona_at(server, model="openai-chat:gpt-4o"))
    endpoint, provider = (request["body"] for request in server.requests)
    assert endpoint["response_format"]["type"] == "json_schema" and "tools" not in endpoint
    assert provider["model"] == "gpt-4o" and provider["tools"][0]["function"]["name"] == "hand_in"


async def test_the_task_and_earlier_files_reach_the_model_with_its_settings(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "wish.md").write_text("Refunds are idempotent.")
    context = {
        "outputs": {"requirements": {"rows": 20}},
        "artifacts": [{"path": "wish.md", "size": 23, "phase": "requirements"}],
    }
    with model_server(Says(WORK)) as server:
        persona = persona_at(server, temperature=0.2, max_tokens=4000, words={"instructions": "Be terse."})
        await perform(tmp_path, persona, context=context)
    body = server.requests[0]["body"]
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0.2, 4000, "qwen3")
    question = next(message["content"] for message in body["messages"] if message["role"] == "user")
    for part in ("Be terse.", "The list must show 20 rows.", '"rows": 20', "Refunds are idempotent."):
        assert part in question


async def test_what_does_not_fit_into_the_question_is_told_in_it_and_in_the_journal(tmp_path: Path) -> None:
    context = {"outputs": {"requirements": {"text": "x" * 5_000}}}
    with model_server(Says(WORK)) as server:
        _, port = await perform(tmp_path, persona_at(server, prompt_characters=2_000), context=context)
    ((type, data),) = port.events
    assert type == "context_trimmed"
    assert data["left_out"][0]["what"] == "Outputs of requirements" and data["left_out"][0]["size"] > 5_000
    assert "Left out, for it does not fit" in str(server.requests[0]["body"]["messages"])


async def test_a_colleagues_comments_are_outputs_and_write_nothing(tmp_path: Path) -> None:
    comment = {"severity": "high", "place": "design.md", "comment": "No index."}
    says = {"comments": [comment], "opinion": 0.25, "documents": WORK["documents"]}
    with model_server(Says(says)) as server:
        result, _ = await perform(tmp_path, persona_at(server), role="comment")
    assert result.outputs == {"comments": [comment]}
    assert result.metrics == {"opinion": 0.25}
    assert result.summary == "1 comment"
    assert list((tmp_path / "workspace").rglob("*")) == []


async def test_a_draft_with_nothing_wrong_has_no_comments_and_asks_for_no_revision(tmp_path: Path) -> None:
    with model_server(Says({"comments": [], "opinion": 1})) as server:
        result, _ = await perform(tmp_path, persona_at(server), role="comment")
    assert (result.outputs, result.summary, result.metrics) == ({}, "", {"opinion": 1.0})


async def test_a_persona_with_a_folder_of_its_own_writes_there_only(tmp_path: Path) -> None:
    documents = [{"path": "a.md", "content": "a"}, {"path": "parts/two/b.md", "content": "b"}]
    with model_server(Says({**WORK, "documents": documents})) as server:
        await perform(tmp_path, persona_at(server), own_folder="parts/two")
    space = tmp_path / "workspace"
    files = sorted(str(path.relative_to(space)) for path in space.rglob("*") if path.is_file())
    assert files == ["parts/two/a.md", "parts/two/b.md"]


async def test_outputs_that_miss_their_schema_are_asked_for_again_and_paid_for(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"tables": {"type": "integer"}}, "required": ["tables"]}
    with model_server(Says({**WORK, "outputs": {"tables": "two"}}), Says(WORK)) as server:
        result, port = await perform(tmp_path, persona_at(server, schema=schema))
    assert result.outputs == {"tables": 2}
    first, second = (request["body"] for request in server.requests)
    assert first["response_format"]["json_schema"]["schema"]["properties"]["outputs"]["required"] == [
        "tables"
    ]
    assert "outputs.tables: 'two' is not of type 'integer'" in str(second["messages"])
    assert [spent.input_tokens for spent in port.spent] == [100], "told before more is asked for"
    assert result.usage.output_tokens == 40


async def test_outputs_that_never_hold_to_their_schema_fail_with_the_place(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"tables": {"type": "integer"}}}
    with (
        model_server(Says({**WORK, "outputs": {"tables": "two"}})) as server,
        pytest.raises(PerformerFailed, match=r"outputs\.tables: 'two' is not of type 'integer'") as caught,
    ):
        await perform(tmp_path, persona_at(server, schema=schema))
    assert caught.value.kind == "result" and len(server.requests) == 3


async def test_an_answer_that_never_gets_its_form_is_given_up_after_two_corrections(tmp_path: Path) -> None:
    words = r"did not give its answer the form .*summary: Field required"
    with (
        model_server(Says({"nothing": "of use"})) as server,
        pytest.raises(PerformerFailed, match=words) as caught,
    ):
        await perform(tmp_path, persona_at(server))
    assert caught.value.kind == "result" and caught.value.retry
    assert caught.value.usage == Usage(input_tokens=300, output_tokens=60)
    assert len(server.requests) == 3


async def test_a_document_that_wants_out_of_the_workspace_is_asked_for_again(tmp_path: Path) -> None:
    out = {**WORK, "documents": [{"path": "../outside.md", "content": "x"}]}
    with model_server(Says(out), Says(WORK)) as server:
        await perform(tmp_path, persona_at(server))
    assert "no '.', '..'" in str(server.requests[1]["body"]["messages"])
    assert not (tmp_path / "outside.md").exists()


async def test_what_an_endpoint_does_not_tell_is_unknown_and_a_known_price_is_a_cost(tmp_path: Path) -> None:
    with model_server(Says(WORK, tokens=None)) as server:
        result, port = await perform(tmp_path, persona_at(server, model="gpt-4o"))
    assert result.usage == Usage() and port.spent == []
    with model_server(Says(WORK)) as server:
        foreign, _ = await perform(tmp_path, persona_at(server, model="gpt-4o"))
        known, _ = await perform(tmp_path, persona_at(server, model="openai-chat:gpt-4o"))
    assert foreign.usage.cost_usd is None
    assert known.usage.cost_usd is not None and known.usage.cost_usd > 0


async def test_a_reasoning_model_thinks_on_the_side_stream(tmp_path: Path) -> None:
    with model_server(Says(WORK, reasoning="First the rows.\nThen the tables.")) as server:
        _, port = await perform(tmp_path, persona_at(server, output="tool"))
    assert [text for stream, text in port.lines if stream == "err"] == ["First the rows.", "Then the tables."]


async def test_a_spent_budget_ends_the_question_and_no_retry_helps(tmp_path: Path) -> None:
    useless, words = Says({"nothing": "of use"}, tokens=(900, 200)), "its budget of 1,000 tokens is spent"
    with model_server(useless) as server, pytest.raises(PerformerFailed, match=words) as caught:
        await perform(tmp_path, persona_at(server, words={"budget": {"tokens": 1000}}))
    assert not caught.value.retry and caught.value.usage.input_tokens == 900
    assert len(server.requests) == 1


async def test_an_answer_that_crosses_the_budget_is_paid_and_taken_and_the_log_says_when_it_is_checked(
    tmp_path: Path,
) -> None:
    with model_server(Says(WORK, tokens=(900, 200))) as server:
        budget = {"tokens": 1000, "cost_usd": 2}
        result, port = await perform(tmp_path, persona_at(server, words={"budget": budget}))
    assert result.outputs == {"tables": 2} and result.usage.input_tokens == 900
    assert [text for _, text in port.lines if "the budget (here" in text] == [
        "qwen3 tells its tokens only at its end: the budget (here 1,000 tokens) can only be checked after it",
        "qwen3 tells its cost only at its end: the budget (here $2.00) can only be checked after it",
    ]


async def test_the_key_goes_to_the_endpoint_and_no_other_variable_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-belongs-to-openai-alone")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-mine")
    monkeypatch.setenv("MY_SERVER", KEY)
    with model_server(Says(WORK)) as server:
        await perform(tmp_path, persona_at(server, key_env="MY_SERVER"))
        await perform(tmp_path, persona_at(server))
        await perform(tmp_path, persona_at(server, model="openai-chat:gpt-4o"))
    sent = [request["headers"]["authorization"] for request in server.requests]
    assert sent == [f"Bearer {KEY}", "Bearer none", "Bearer none"]
    assert not any("mine" in str(request["headers"]) for request in server.requests[:2])


@pytest.mark.parametrize("begins", ["", '{"summary": "I beg'])
async def test_cancelling_closes_the_connection_at_once(tmp_path: Path, begins: str) -> None:
    with model_server(Hangs(begins)) as server:
        work = asyncio.create_task(perform(tmp_path, persona_at(server)))
        assert await asyncio.to_thread(server.hanging.wait, 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await asyncio.to_thread(server.left.wait, 60)


async def test_lines_come_while_the_model_still_answers(tmp_path: Path) -> None:
    seen = asyncio.Event()

    class Watching(RememberingPort):
        def line(self, text: str, stream: str = "out") -> None:  # type: ignore[override]
            if "First line" in text:
                seen.set()

    with model_server(Hangs('{"summary": "First line\\nSecond')) as server:
        work = asyncio.create_task(perform(tmp_path, persona_at(server), Watching()))
        await asyncio.wait_for(seen.wait(), 60)
        assert not work.done()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
