"""Makes small real workflows for tests: phases that run a Python script each and count their runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

STEP = """
import json, os, pathlib, sys, time
phase = os.environ["MAESTRO_PHASE"]
given = json.loads(pathlib.Path(os.environ["MAESTRO_CONTEXT"]).read_text())
with open(f"ran-{phase}", "a") as counter:
    counter.write(f"{given['attempt']}\\n")
control = pathlib.Path(f"control-{phase}.json")
orders = json.loads(control.read_text()) if control.exists() else {}
print(f"{phase} begins", flush=True)
if "wait_for" in orders:
    pathlib.Path(f"at-{phase}").touch()
    while not pathlib.Path(orders["wait_for"]).exists():
        time.sleep(0.02)
pathlib.Path(f"{phase}.txt").write_text(f"{phase} {given['attempt']} {sorted(given['outputs'])}\\n")
result = {"outputs": {"said": phase, "saw": given["outputs"]}, "summary": f"{phase} done",
          "decisions": [{"about": "form", "choice": phase}], "metrics": orders.get("metrics", {})}
pathlib.Path(os.environ["MAESTRO_RESULT"]).write_text(json.dumps(result))
sys.exit(orders.get("exit", 0))
"""


class Project:
    """A workspace with a workflow whose phases run `step.py`; control files steer each phase."""

    def __init__(
        self, folder: Path, needs: Mapping[str, Sequence[str]], extra: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "step.py").write_text(STEP)
        lines = ['name = "steps"']
        for name, before in needs.items():
            lines += ["[[phases]]", f'name = "{name}"', f"needs = {json.dumps(list(before))}"]
            lines += [(extra or {}).get(name, "")]
            lines += [
                "[[phases.personas]]",
                'name = "worker"',
                f"argv = {json.dumps([sys.executable, 'step.py'])}",
            ]
        self.file = folder / "maestro.toml"
        self.file.write_text("\n".join(lines) + "\n")
        self.root = folder.parent / f"{folder.name}-checkpoints"

    def order(self, phase: str, **orders: object) -> None:
        """Steer a phase: `exit` code, `wait_for` a file, `metrics`."""
        (self.folder / f"control-{phase}.json").write_text(json.dumps(orders))

    def clear(self, phase: str) -> None:
        """Let a phase do its plain work."""
        (self.folder / f"control-{phase}.json").unlink()

    def runs(self, phase: str) -> int:
        """How often a phase's command was really started."""
        counter = self.folder / f"ran-{phase}"
        return len(counter.read_text().splitlines()) if counter.exists() else 0

    def command(self, *words: str) -> list[str]:
        """The words of a real `maestro-tui` process on this project's checkpoints."""
        return [sys.executable, "-m", "maestro_tui", "--checkpoint-dir", str(self.root), *words]

    def call(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `maestro-tui` to its end."""
        return subprocess.run(
            self.command(*words),
            capture_output=True,
            text=True,
            input=stdin if stdin is not None else "",
            timeout=120,
            cwd=self.folder,
        )

    def json(self, *words: str, code: int | None = None) -> dict:
        """Run `maestro-tui … --json` and give its document."""
        done = self.call(*words, "--json")
        if code is not None:
            assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)


def line(*names: str) -> dict[str, list[str]]:
    """Phases in a row: each needs the one before it."""
    return {name: [names[index - 1]] if index else [] for index, name in enumerate(names)}
