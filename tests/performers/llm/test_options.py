"""A persona's options for a model are checked before anything is asked, and the sentence says what to mend."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from maestro_tui.model.errors import InputError
from maestro_tui.model.persona import Persona
from maestro_tui.model.workflow import Workflow
from maestro_tui.performers.llm_options import LlmOptions, read_options
from maestro_tui.performers.registry import performer_for

README = Path(__file__).parents[3] / "README.md"
HERE = "http://127.0.0.1:11434/v1"
TOML = """
name = "shop"
[[phases]]
name = "design"
[[phases.personas]]
name = "designer"
performer = "llm"
budget = { tokens = 50000 }
timeout_seconds = 900
[phases.personas.options]
model = "qwen3:8b"
base_url = "http://127.0.0.1:11434/v1"
temperature = 0.2
max_tokens = 4000
output = "tool"
request_timeout_seconds = 120
schema = { type = "object", required = ["tables"] }
"""


def persona(**options: Any) -> Persona:
    return Persona(name="designer", performer="llm", options=options)


def test_a_workflow_file_names_a_model_with_all_that_it_takes() -> None:
    workflow = Workflow.parse(TOML)
    made = performer_for(workflow.phases[0].personas[0])
    assert type(made).__name__ == "LlmPerformer"
    options = read_options(workflow.phases[0].personas[0])
    assert (options.model, options.temperature, options.output_mode) == ("qwen3:8b", 0.2, "tool")
    assert options.outputs_schema == {"type": "object", "required": ["tables"]}


def test_the_readmes_persona_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-no-real-key")
    section = README.read_text(encoding="utf-8").split("\n## Models\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```toml\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    workflow = Workflow.parse(f'name = "readme"\n[[phases]]\nname = "design"\n{block}')
    options = read_options(workflow.phases[0].personas[0])
    assert (options.model, options.output_mode, options.key()) == ("qwen3", "json_schema", "sk-no-real-key")
    for name, field in LlmOptions.model_fields.items():
        assert f"{field.alias or name} = " in block or f"`{name}`" in section


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "options.model is missing"),
        ({"model": "qwen3"}, 'without base_url, model must be "provider:model"'),
        ({"model": "qwen3", "base_url": "127.0.0.1:11434"}, "base_url must begin with http"),
        ({"model": "m", "base_url": "http://me:secret@h/v1"}, "must not hold a key"),
        ({"model": "m", "base_url": HERE, "key_env": "sk-123"}, "never the key itself"),
        ({"model": "m", "base_url": HERE, "temprature": 1}, "no option 'temprature' .*did you mean 'temperature'"),
        ({"model": "m", "base_url": HERE, "zzz": 1}, "there are model, base_url, key_env, .*schema"),
        ({"model": "m", "base_url": HERE, "temperature": "hot"}, "options.temperature: input should be a valid number"),
        ({"model": "m", "base_url": HERE, "max_tokens": 0}, "options.max_tokens: "),
        ({"model": "m", "base_url": HERE, "output": "xml"}, "options.output: .*'tool', 'json_schema' or 'prompted'"),
        ({"model": "m", "base_url": HERE, "schema": {"type": "nothing"}}, "schema is no JSON schema: 'nothing'"),
        ({"model": "m", "base_url": HERE, "schema": {"type": "array"}}, "must describe an object"),
        ({"model": "m", "base_url": HERE, "schema": {"type": "object", "properties": {"a": {"$ref": "#/x"}}}}, "not use \\$ref"),
        ({"model": "m", "base_url": HERE, "key_env": "NOT_SET_HERE"}, "NOT_SET_HERE is not set"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_a_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        performer_for(persona(**options))
    assert "Nothing was" in str(caught.value)


def test_an_openai_prefix_before_a_base_url_names_the_provider_and_any_other_colon_the_model() -> None:
    assert LlmOptions(model="openai:gpt-5", base_url=HERE).provider == "openai"
    assert LlmOptions(model="qwen3:8b", base_url=HERE).provider is None
    assert LlmOptions(model="anthropic:claude-sonnet-5").provider == "anthropic"


def test_a_missing_extra_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pydantic_ai" else found(name, *more)
    )
    with pytest.raises(InputError, match=r"pip install 'maestro-tui\[llm\]'"):
        performer_for(persona(model="m", base_url=HERE))


def test_checking_a_persona_imports_no_client() -> None:
    code = (
        "import sys\n"
        "from maestro_tui.model.persona import Persona\n"
        "from maestro_tui.performers.registry import performer_for\n"
        f"performer_for(Persona(name='d', performer='llm', options={{'model': 'm', 'base_url': {HERE!r}}}))\n"
        "print([name for name in ('pydantic_ai', 'openai', 'httpx2', 'jsonschema') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
