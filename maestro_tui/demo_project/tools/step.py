"""What the sample's commands share: read the session's context, write a result."""

import json
import os
from pathlib import Path

SOURCES = sorted(Path("src").rglob("*.py"))


def context() -> dict:
    return json.loads(Path(os.environ["MAESTRO_CONTEXT"]).read_text(encoding="utf-8"))


def result(**values) -> None:
    Path(os.environ["MAESTRO_RESULT"]).write_text(json.dumps(values), encoding="utf-8")


def deliver(name: str, text: str) -> None:
    Path("build").mkdir(exist_ok=True)
    Path("build", name).write_text(text, encoding="utf-8")
    print("wrote", f"build/{name}", flush=True)
