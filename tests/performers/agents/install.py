"""Installs the real agents from npm into a cache outside the repository; also run by itself, before the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PACKAGES = {
    "claude": "@anthropic-ai/claude-code@2",
    "codex": "@openai/codex@0",
    "gemini": "@google/gemini-cli@0",
    "opencode": "opencode-ai@1",
}
"""Program and npm package, held to the major version whose streams the tests were written after."""
ACP_PACKAGES = {"claude-agent-acp": "@agentclientprotocol/claude-agent-acp@0"}
"""What claude needs besides to speak the Agent Client Protocol; in a folder of its own."""
SECONDS = 100.0
NODE = 20
"""The oldest major version of node that all of them run on."""


class NotInstalled(Exception):
    """The agents are not there; `str()` is the sentence that says why."""


def cache_folder(name: str = "node") -> Path:
    """`$XDG_CACHE_HOME/maestro-tui-tests/NAME`, else the same under `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "maestro-tui-tests" / name


def installed_agents(folder: Path, packages: Mapping[str, str] = PACKAGES, *, install: bool = False) -> Path:
    """The folder with the agents' programs; with `install` they are installed where they are missing.

    Raises `NotInstalled`: nobody who only runs the tests is made to fetch a gigabyte.
    """
    programs = folder / "node_modules" / ".bin"
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalled("npm is not installed, so the real agents cannot be installed")
    if _node_version() < NODE:
        raise NotInstalled(f"the real agents need node {NODE} or newer")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            # Test workers run side by side; one installs, the others wait.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not all((programs / name).exists() for name in packages):
                if not install:
                    raise NotInstalled(
                        "the real agents are not installed; 'python tests/performers/agents/install.py' fetches them "
                        "(about 1 GB)"
                    )
                _install(npm, folder, packages)
    except OSError as error:
        raise NotInstalled(f"the real agents cannot be kept in {folder}: {error.strerror}") from error
    return programs


def _node_version() -> int:
    try:
        said = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30).stdout
        return int(said.strip().removeprefix("v").split(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def _install(npm: str, folder: Path, packages: Mapping[str, str]) -> None:
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel", "error"]
    command += ["--fetch-retries", "1", "--fetch-timeout", "20000", *packages.values()]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"npm did not install the real agents within {SECONDS:g} s") from error
    if done.returncode != 0:
        said = [line.removeprefix("npm error").strip() for line in done.stderr.splitlines()]
        reason = "; ".join(line for line in said[:3] if line) or "it gave no reason"
        raise NotInstalled(f"npm could not install the real agents: {reason[:300]}")


if __name__ == "__main__":
    try:
        print(f"the real agents are in {installed_agents(cache_folder(), install=True)}")
        print(
            f"what speaks ACP besides is in {installed_agents(cache_folder('node-acp'), ACP_PACKAGES, install=True)}"
        )
    except NotInstalled as error:
        print(f"{error}; their tests will say that they were skipped")
        sys.exit(1)
