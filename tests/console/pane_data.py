"""A session with everything that its pane can show, on disk and as details; and the same with hostile texts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from maestro_tui.console.plain_ascii import AsciiApp
from maestro_tui.console.theme import THEMES
from maestro_tui.console.widgets.session_pane import SessionPane
from maestro_tui.model.context import Artifact, ContractCheck, Decision, Gate, PhaseResult, PhaseStatus
from maestro_tui.model.errors import InputError
from maestro_tui.model.events import Event
from maestro_tui.model.summary import (
    AttemptSummary,
    Owner,
    PersonaSpan,
    PhaseSummary,
    SessionStatus,
    SessionSummary,
)
from maestro_tui.store.checkpoints import CommitInfo
from maestro_tui.store.detail import LogFile, SessionDetail
from tests.console.hostile import HOSTILE

NOW = 1_795_442_580.0
"""2026-11-23 14:03:00 UTC."""
BEGUN = NOW - 720
ID = "s-0192"
USUAL = {("sdlc", "implementation"): 360.0, ("sdlc", "testing"): 120.0}


@dataclass(frozen=True)
class Told:
    """A session's summary and details."""

    root: Path
    summary: SessionSummary
    detail: SessionDetail

    def source(self, _path: Path, _now: float) -> SessionDetail:
        """In the place of `read_detail`."""
        return self.detail


def moment(at: float) -> datetime:
    """As pydantic models want it."""
    return datetime.fromtimestamp(at, UTC)


def log_line(at: float, persona: str, text: str, stream: str = "out") -> str:
    """A line in the store's form."""
    stamp = moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{stamp}\t{persona}\t{stream}\t{text}\n"


def write_log(root: Path, name: str, lines: list[str]) -> LogFile:
    """A log on disk."""
    path = root / ID / "logs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
    phase, attempt, _ = name.rsplit(".", 2)
    return LogFile(phase, int(attempt), path, path.stat().st_size, NOW)


def write_commits(root: Path, stages: list[tuple[str, int, str]], extra: str = "") -> tuple[CommitInfo, ...]:
    """Commits on disk that differ from one another."""
    found = []
    folder = root / ID / "history"
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, object] = {}
    for seq, (phase, attempt, status) in enumerate(stages):
        if attempt:
            results[phase] = {
                "status": status,
                "attempt": attempt,
                "outputs": {"note": f"{phase} {attempt}{extra}"},
            }
        digest = hashlib.sha256(str(seq).encode()).hexdigest()
        value = {
            "sha256": digest,
            "format": "maestro-checkpoint/1",
            "seq": seq,
            "session_id": ID,
            "phase": phase,
            "attempt": attempt,
            "context": {"session_id": ID, "requirement": f"Refunds{extra}", "phase_results": dict(results)},
        }
        path = folder / f"{seq:04d}.json"
        path.write_text(json.dumps(value, indent=2))
        found.append(CommitInfo(seq, phase, attempt, status, digest, moment(BEGUN + 100 * seq), path))
    return tuple(found)


def artifact(workspace: Path, path: str, phase: str, change: str = "new", attempt: int = 1) -> Artifact:
    """A file of the workspace as it is now."""
    data = (workspace / path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Artifact(path=path, size=len(data), sha256=digest, change=change, phase=phase, attempt=attempt)


def failed_session(tmp: Path) -> Told:
    """design failed twice; requirements is committed."""
    root, workspace = tmp / "root", tmp / "shop"
    (workspace / "docs").mkdir(parents=True)
    (workspace / "docs/design.md").write_text(
        "# Design\n\nRefunds are **idempotent** by `refund_id`.\n\n- one\n"
    )
    (workspace / "refund.py").write_text("def refund(key: str) -> int:\n    # once only\n    return 1\n")
    (workspace / "survey.json").write_text('{"files": 12, "tests": ["a", "b"]}')
    phases = (
        PhaseSummary("requirements", "completed", 1, BEGUN, BEGUN + 21),
        PhaseSummary(
            "design", "failed", 2, BEGUN + 400, BEGUN + 441, error="architect exited with code 3: refused"
        ),
        PhaseSummary("implementation"),
        PhaseSummary("testing"),
        PhaseSummary("deployment"),
    )
    summary = SessionSummary(
        ID,
        SessionStatus.FAILED,
        "Refactor the payment flow so that refunds are idempotent",
        "sdlc",
        "/home/ann/shop",
        BEGUN,
        BEGUN + 441,
        phases,
        3,
        "ab" * 32,
        Owner(4121, "shop-1", "ann", BEGUN, BEGUN + 441, True, False, 1),
        "phase_failed",
        "design failed",
        (),
        30_000,
        8_000,
        0.41,
        83.0,
    )
    summary = replace(summary, workspace=str(workspace))
    attempts = (
        _attempt("requirements", 1, "completed", BEGUN, BEGUN + 21, "requirement_analyst", None, 1),
        _attempt("design", 1, "failed", BEGUN + 130, BEGUN + 194, "architect", "connection reset", 2),
        _attempt("design", 2, "failed", BEGUN + 400, BEGUN + 441, "architect", "refused", 3),
    )
    logs = (
        write_log(
            root,
            "requirements.1.log",
            [
                log_line(BEGUN + n, "requirement_analyst", f"statement {n}: a refund id counts once")
                for n in range(12)
            ],
        ),
        write_log(
            root,
            "design.1.log",
            [log_line(BEGUN + 130 + n, "architect", f"reading module {n}") for n in range(40)]
            + [log_line(BEGUN + 193, "architect", "connection reset", "err")],
        ),
        write_log(
            root,
            "design.2.log",
            [
                log_line(BEGUN + 400 + n / 10, "architect", f"looking at src/payments/part_{n}.py")
                for n in range(200)
            ]
            + [
                log_line(BEGUN + 440, "architect", "POST /v1/messages → refused", "err"),
                log_line(BEGUN + 441, "engine", "attempt 2 failed: exit code 3", "engine"),
            ],
        ),
    )
    contract = ContractCheck(
        deliverables=("docs/*.md", "api.json"), fulfilled=("docs/*.md",), missing=("api.json",)
    )
    gate = Gate(verdict="failed", score=0.5, threshold=0.9, failures=("tests 0.5 is below 0.9",))
    detail = SessionDetail(
        summary=summary,
        attempts=attempts,
        results={
            "design": PhaseResult(
                status=PhaseStatus.FAILED,
                attempt=2,
                contract=contract,
                gate=gate,
                quality={"tests": 0.5, "lint": None},
            )
        },
        artifacts=(
            artifact(workspace, "survey.json", "requirements"),
            artifact(workspace, "docs/design.md", "design", "changed", 2),
            artifact(workspace, "refund.py", "design", "new", 2),
        ),
        decisions=(
            Decision(
                phase="requirements",
                about="blueprint",
                choice="sequential: requirement_analyst",
                rationale="BM25 over persona descriptions matched: refunds, idempotent",
                alternatives=("parallel",),
                score=3.271,
                decided_by="rules",
                at=moment(BEGUN),
            ),
            Decision(
                phase="design",
                about="refund keys",
                choice="unique index",
                rationale="No lock.",
                decided_by="architect",
            ),
        ),
        history=write_commits(
            root,
            [
                ("init", 0, "new"),
                ("requirements", 1, "completed"),
                ("design", 1, "failed"),
                ("design", 2, "failed"),
            ],
        ),
        head_json=json.loads((root / ID / "history/0003.json").read_text()),
        events=tuple(
            Event(
                kind,
                BEGUN + 30 * seq,
                ID,
                "design" if seq > 2 else None,
                2 if seq > 2 else None,
                None,
                {"n": seq},
                "w",
                seq,
            )
            for seq, kind in enumerate(
                ["session_started", "runner_acquired", "phase_started", "phase_failed"]
            )
        ),
        logs=logs,
    )
    return Told(root, summary, detail)


def _attempt(
    phase: str,
    number: int,
    status: str,
    start: float,
    end: float | None,
    persona: str,
    error: str | None,
    seq: int | None,
) -> AttemptSummary:
    return AttemptSummary(
        phase, number, status, start, end, (PersonaSpan(persona, status, start, end),), error, seq
    )


def running_session(tmp: Path) -> Told:
    """implementation runs; everything before it is committed."""
    told = failed_session(tmp)
    phases = (
        PhaseSummary("requirements", "completed", 1, BEGUN, BEGUN + 21),
        PhaseSummary("design", "completed", 1, BEGUN + 25, BEGUN + 310),
        PhaseSummary("implementation", "running", 1, BEGUN + 320, None),
        PhaseSummary("testing"),
        PhaseSummary("deployment"),
    )
    owner = Owner(4121, "shop-1", "ann", BEGUN, NOW, True, True, 1, ("implementation",))
    summary = replace(
        told.summary,
        status=SessionStatus.RUNNING,
        phases=phases,
        owner=owner,
        error=None,
        updated_at=NOW - 2,
        seq=2,
    )
    attempts = (
        _attempt("requirements", 1, "completed", BEGUN, BEGUN + 21, "requirement_analyst", None, 1),
        _attempt("design", 1, "completed", BEGUN + 25, BEGUN + 310, "architect", None, 2),
        _attempt("implementation", 1, "running", BEGUN + 320, None, "builder", None, None),
    )
    log = write_log(
        told.root,
        "implementation.1.log",
        [log_line(BEGUN + 320 + n, "builder", f"building wheel, step {n}") for n in range(60)],
    )
    detail = replace(
        told.detail,
        summary=summary,
        attempts=attempts,
        results={},
        history=told.detail.history[:3],
        logs=(log,),
    )
    return Told(told.root, summary, detail)


def completed_session(tmp: Path) -> Told:
    """Everything is done."""
    told = failed_session(tmp)
    names = ("requirements", "design", "implementation", "testing", "deployment")
    spans = [(name, BEGUN + 100 * n, BEGUN + 100 * n + 60 + 7 * n) for n, name in enumerate(names)]
    phases = tuple(PhaseSummary(name, "completed", 1, start, end) for name, start, end in spans)
    summary = replace(
        told.summary,
        status=SessionStatus.COMPLETED,
        phases=phases,
        owner=None,
        error=None,
        updated_at=spans[-1][2],
    )
    attempts = tuple(
        _attempt(name, 1, "completed", start, end, "builder", None, n + 1)
        for n, (name, start, end) in enumerate(spans)
    )
    log = write_log(
        told.root, "deployment.1.log", [log_line(BEGUN + 400, "builder", "manifest.json written")]
    )
    detail = replace(told.detail, summary=summary, attempts=attempts, results={}, logs=(log,))
    return Told(told.root, summary, detail)


def waiting_session(tmp: Path) -> Told:
    """Four phases are done; the last one too, and it waits for a person."""
    told = completed_session(tmp)
    last = replace(told.summary.phases[-1], waiting=True)
    phases = (*told.summary.phases[:-1], last)
    summary = replace(told.summary, status=SessionStatus.WAITING, phases=phases)
    return Told(told.root, summary, replace(told.detail, summary=summary))


def hostile_session(tmp: Path) -> Told:
    """The failed session with a hostile text in every field that others write; summaries are clean by contract."""
    from maestro_tui.model.text import clean

    told = failed_session(tmp)
    nice, evil = clean(HOSTILE, 200), HOSTILE
    workspace = Path(str(told.summary.workspace))
    odd = "docs/[@click=app.quit]\x1b[31m\u202egnp.md"
    (workspace / odd).write_text(
        "# [/red] \x1b]52;c;aGk=\x07\n- [@click=app.quit]x[/]\n" + evil.replace("\ud800", "")
    )
    phases = tuple(
        replace(phase, error=nice, stale=nice if phase.name == "requirements" else None)
        for phase in told.summary.phases
    )
    owner = Owner(1, nice, nice, BEGUN, BEGUN, False, None, 1)
    summary = replace(
        told.summary,
        requirement=nice,
        workflow=nice,
        phases=phases,
        owner=owner,
        last_event=nice,
        error=nice,
        damage=(nice, nice, nice),
    )
    attempts = tuple(
        replace(
            attempt,
            error=nice,
            personas=(PersonaSpan(nice, "failed", attempt.started_at, attempt.finished_at),),
        )
        for attempt in told.detail.attempts
    )
    log = write_log(
        told.root,
        "design.2.log",
        [
            log_line(BEGUN + 400, evil.replace("\t", ""), evil, "err"),
            evil + "\n",
            log_line(BEGUN + 401, "architect", "x" * 500_000),
            "\t\t\t\t\n",
            log_line(BEGUN + 402, "architect", "漢字" * 60 + "\U0001f600" * 30),
        ],
    )
    detail = replace(
        told.detail,
        summary=summary,
        attempts=attempts,
        artifacts=(artifact(workspace, odd, "design"), *told.detail.artifacts),
        decisions=(
            Decision.model_construct(
                phase=evil,
                about=evil,
                choice=evil,
                rationale=evil * 3,
                alternatives=(evil, evil),
                score=None,
                decided_by=evil,
                at=None,
            ),
        ),
        history=tuple(
            replace(info, phase=evil, status=evil, problem=evil if info.seq == 1 else None)
            for info in told.detail.history
        ),
        head_json={
            evil: evil,
            "context": {evil: [evil, {"[/]": evil}], "phase_results": {evil: {"x": 10**5000}}},
        },
        events=tuple(
            Event(evil, BEGUN, ID, evil, 1, evil, {evil: evil, "nested": {evil: [evil]}}, "w", n)
            for n in range(5)
        ),
        logs=(*told.detail.logs[:2], log),
    )
    return Told(told.root, summary, detail)


class PaneApp(AsciiApp):
    """Nothing but the pane."""

    def __init__(self, told: Told | None, clock: Callable[[], float] = lambda: NOW) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "maestro-dark"
        self.told = told
        self.pane = SessionPane(
            told.root if told else Path("/nowhere"), clock, told.source if told else None, id="pane"
        )

    async def ask_host(self, work: object) -> None:
        """Nobody makes plans here."""
        raise InputError("There is no host.")

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_mount(self) -> None:
        self.pane.show(self.told.summary if self.told else None, USUAL)


async def until(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Waits until a condition holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        await pilot.pause()
        await asyncio.sleep(0)
    await pilot.pause()


async def ready(pilot: Pilot[None]) -> SessionPane:
    """Waits until the details and the open log are shown."""
    app = pilot.app
    assert isinstance(app, PaneApp)
    await until(pilot, lambda: app.pane.detail is not None)
    await until(pilot, lambda: not any(worker.is_running for worker in app.workers))
    return app.pane


def painted(app: App[Any]) -> str:
    """All that is on the screen, as text."""
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()
    )
