"""Which agents are installed, and what is said about those that are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_tui.engine import teams
from maestro_tui.performers.agents.catalogue import AGENTS
from maestro_tui.performers.agents.detect import find_agents
from tests.performers.agents.install import PACKAGES


def program(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def test_installed_agents_are_found_with_their_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "claude", "echo '2.1.197 (Claude Code)'")
    program(tmp_path, "codex", "echo codex-cli 0.171.0-alpha.2")
    program(tmp_path, "gemini", "echo broken; exit 1")
    claude, codex, gemini, opencode = find_agents()
    assert (claude.installed, claude.version) == (True, "2.1.197")
    assert codex.version == "0.171.0-alpha.2" and codex.sentence.startswith("codex 0.171.0-alpha.2 (/")
    assert gemini.installed and gemini.version is None and "version not known" in gemini.sentence
    assert not opencode.installed and opencode.sentence == (
        "opencode is not installed; install it with: npm install -g opencode-ai"
    )


def test_looking_without_versions_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "claude", f"touch {tmp_path}/started; echo 1.0")
    (found,) = find_agents(["claude"], versions=False)
    assert found.installed and found.version is None and not (tmp_path / "started").exists()


def test_the_teams_that_can_be_asked_for_are_the_agents_that_are_known() -> None:
    assert set(teams.AGENTS) == set(AGENTS)


def test_the_packages_that_are_tested_are_the_packages_that_are_advised() -> None:
    assert {name: package.rsplit("@", 1)[0] for name, package in PACKAGES.items()} == {
        name: agent.package for name, agent in AGENTS.items()
    }
