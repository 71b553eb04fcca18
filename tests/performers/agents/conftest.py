"""What the agents' tests share: the real programs from npm, and programs of ours that replay a stream."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.performers.agents.install import NotInstalled, cache_folder, installed_agents

# Before any test has a home of its own: the cache is the user's.
_CACHE = cache_folder()

_REPLAY = """#!{python}
import os, pathlib, subprocess, sys, time
here = pathlib.Path({folder!r})
(here / "argv").write_text("\\0".join(sys.argv[1:]))
(here / "prompt").write_text(sys.stdin.read())
(here / "env").write_text("\\0".join(f"{{k}}={{v}}" for k, v in os.environ.items()))
sys.stdout.buffer.write((here / "stream").read_bytes())
sys.stdout.flush()
exec((here / "then.py").read_text())
"""


@pytest.fixture(scope="session")
def real_agents() -> Path:
    """The folder with the real agents' programs; skips by a sentence when they cannot be had."""
    try:
        return installed_agents(_CACHE)
    except NotInstalled as error:
        pytest.skip(f"{error}.")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an agent would fetch or report elsewhere meets a closed port."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        for form in (name, name.lower()):
            monkeypatch.setenv(form, "http://127.0.0.1:9")
    for form in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(form, "127.0.0.1,localhost")


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a program of that name on PATH that prints `stream` and then does `then` (Python).

    Its folder, which is returned, afterwards holds `argv` and `env` (separated by NUL) and `prompt`.
    """

    def make(program: str, stream: str | bytes, then: str = "") -> Path:
        folder = tmp_path / f"replay-{program}"
        folder.mkdir()
        (folder / "stream").write_bytes(stream if isinstance(stream, bytes) else stream.encode())
        (folder / "then.py").write_text(then)
        file = folder / program
        file.write_text(_REPLAY.format(python=sys.executable, folder=str(folder)))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder

    return make
