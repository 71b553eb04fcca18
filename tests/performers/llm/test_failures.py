"""A model that does not answer: what the operator is told, and whether the engine tries again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import override_allow_model_requests
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from maestro_tui.performers.port import PerformerFailed
from tests.model_server.chat_completions import Drops, Fault, Hangs, Move, Raw, Says, model_server
from tests.performers.llm.asking import KEY, WORK, perform, persona_at


async def failure(tmp_path: Path, move: Move, **options: Any) -> tuple[PerformerFailed, int]:
    """How a model that answers with `move` fails, and how many requests that took."""
    with model_server(move) as server, pytest.raises(PerformerFailed) as caught:
        await perform(tmp_path, persona_at(server, **options))
    assert str(caught.value).endswith(".")
    return caught.value, len(server.requests)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("move", "kind", "words"),
    [
        (Fault(429, "slow down"), "performer", r"was turned away by http://127\.0\.0\.1:\d+/v1 \(status 429\), which says 'slow down'"),
        (Fault(500, "oops"), "performer", "met a fault of .*status 500.*'oops'"),
        (Fault(503), "performer", "status 503"),
        (Fault(408), "performer", "status 408"),
        (Drops(), "performer", "the connection to .* failed or its answer could not be read"),
    ],
)  # fmt: skip
async def test_what_may_pass_by_itself_is_left_to_the_engines_retries(
    tmp_path: Path, move: Move, kind: str, words: str, stream: bool
) -> None:
    failed, requests = await failure(tmp_path, move, stream=stream)
    assert failed.retry and failed.kind == kind and failed.retry_after is None
    assert requests == 1, "the engine retries where it is seen, never this client"
    assert re.search(words, str(failed)), str(failed)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400, 1e11), ("Mon, 01 Jan 2001 00:00:00 GMT", 0, 0)],
)
async def test_the_wait_that_an_endpoint_asks_for_is_passed_on(
    tmp_path: Path, header: str, low: float, high: float
) -> None:
    failed, _ = await failure(tmp_path, Fault(429, headers={"Retry-After": header}))
    assert failed.retry_after is not None and low <= failed.retry_after <= high


@pytest.mark.parametrize(
    ("move", "words"),
    [
        (Fault(401, "bad key"), "was refused by .*check the key in the variable MY_SERVER"),
        (Fault(403, "no"), "check the key in the variable MY_SERVER"),
        (
            Fault(404, "model not found"),
            "does not know the model 'qwen3' .*check the options model and base_url",
        ),
        (
            Fault(400, "tools are not supported"),
            "'tools are not supported'.*set the option output = \"prompted\"",
        ),
        (Fault(429, "pay", code="insufficient_quota"), "has no money left at"),
    ],
)
async def test_what_no_retry_can_help_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: Move, words: str
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    failed, requests = await failure(tmp_path, move, key_env="MY_SERVER")
    assert not failed.retry and requests == 1
    assert re.search(words, str(failed)), str(failed)


async def test_a_key_that_an_endpoint_repeats_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SERVER", KEY)
    failed, _ = await failure(tmp_path, Fault(401, f"Incorrect key {KEY}"), key_env="MY_SERVER")
    assert KEY not in str(failed) and "‹MY_SERVER›" in str(failed)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_takes_too_long_is_a_timeout(tmp_path: Path, stream: bool) -> None:
    for move in (Hangs(), Hangs('{"summary": "I beg')) if stream else (Hangs(),):
        failed, _ = await failure(tmp_path, move, stream=stream, request_timeout_seconds=0.2)
        assert failed.kind == "timeout" and failed.retry
        assert "within 0.2 s (option request_timeout_seconds)" in str(failed)
        assert failed.usage.input_tokens is None, "what was spent is not known"


@pytest.mark.parametrize(
    ("move", "stream"),
    [
        (Raw(b"<html>Welcome</html>", "text/html"), True),
        (Raw(b"<html>Welcome</html>", "text/html"), False),
        (Raw(b'{"choices": ['), False),
        (Raw(b"data: {nope\n\n", "text/event-stream"), True),
    ],
)
async def test_a_body_that_is_no_answer_is_a_failure_with_the_place(
    tmp_path: Path, move: Move, stream: bool
) -> None:
    failed, requests = await failure(tmp_path, move, stream=stream)
    assert "http://127.0.0.1:" in str(failed) and requests == 1


@pytest.mark.parametrize("output", ["tool", "json_schema", "prompted"])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_cut_at_its_limit_says_which_option_to_raise_and_is_paid_once(
    tmp_path: Path, output: str, stream: bool
) -> None:
    move = Says(WORK, finish="length", cut=20)
    failed, requests = await failure(tmp_path, move, output=output, stream=stream, max_tokens=5)
    assert failed.kind == "result" and not failed.retry and "raise the option max_tokens" in str(failed)
    assert requests == 1 and failed.usage.output_tokens == 20


async def test_nobody_at_the_address_is_a_sentence(tmp_path: Path) -> None:
    with model_server(Says(WORK)) as server:
        persona = persona_at(server)
    with pytest.raises(
        PerformerFailed, match=r"the connection to http://127\.0\.0\.1:\d+/v1 failed"
    ) as caught:
        await perform(tmp_path, persona)
    assert caught.value.retry


async def test_an_unknown_provider_and_one_without_its_key_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for model, words in (("qwen3:8b", "no provider 'qwen3'.*base_url"), ("openai:gpt-5", "OPENAI_API_KEY")):
        with pytest.raises(PerformerFailed, match=words) as caught:
            await perform(tmp_path, persona_at(model=model))
        assert not caught.value.retry


async def test_a_model_handed_in_is_asked_instead_and_no_request_leaves(tmp_path: Path) -> None:
    model = TestModel(custom_output_args=WORK)
    with override_allow_model_requests(False):
        result, _ = await perform(tmp_path, persona_at(model="openai:gpt-5"), model=model)
    assert result.outputs == {"tables": 2}


async def test_a_filtered_answer_is_a_failed_result(tmp_path: Path) -> None:
    def filtered(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("")], finish_reason="content_filter")

    persona = persona_at(model="openai:gpt-5", stream=False)
    with pytest.raises(PerformerFailed, match="refused to answer, or a filter") as caught:
        await perform(tmp_path, persona, model=FunctionModel(filtered))
    assert caught.value.kind == "result"
