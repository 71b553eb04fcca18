"""The project's code, which the toolbox builds and tests, sees no password and no token of the operator's."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_tui.model.persona import Persona
from maestro_tui.performers.toolbox.bench import Bench
from tests.performers.bench_fixtures import RememberingPort, make_task

GIVEN = {
    "PIP_NO_INDEX": "1",
    "PIP_INDEX_URL": "https://ann:s3cret-word@index/simple",
    "UV_INDEX_SHOP_PASSWORD": "s3cret-word",
    "UV_PUBLISH_TOKEN": "pypi-token-1234",
    "UV_PUBLISH_USERNAME": "ann",
    "UV_OFFLINE": "1",
    "SETUPTOOLS_SCM_PRETEND_VERSION": "1.0",
    "SHOP_TOKEN": "s3cret-word",
    "TWINE_PASSWORD": "s3cret-word",
}


@pytest.mark.parametrize(
    ("installs", "more"), [(False, set()), (True, {"PIP_INDEX_URL", "UV_INDEX_SHOP_PASSWORD"})]
)
def test_keys_of_the_package_index_are_for_the_installer_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installs: bool, more: set[str]
) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    persona = Persona(name="test_engineer")
    bench = Bench(make_task(tmp_path, persona), RememberingPort(), "testing")
    seen = bench.environment(installs=installs)
    assert (
        seen.keys() & GIVEN.keys()
        == {
            "PIP_NO_INDEX",
            "UV_OFFLINE",
            "SETUPTOOLS_SCM_PRETEND_VERSION",
        }
        | more
    )
    named = Bench(
        make_task(tmp_path, persona.model_copy(update={"env": ("SHOP_TOKEN",)})), RememberingPort(), "testing"
    )
    assert named.environment()["SHOP_TOKEN"] == "s3cret-word", "what the operator approved is given"
