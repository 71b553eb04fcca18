"""A session as one Markdown document that needs nothing else: to read, to hand on, to keep with a ticket.

Everything that others wrote passes through `engine.markdown`: it can be no heading, link, image, HTML or
table of its own. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.engine.markdown import block, code, table, words
from maestro_tui.model.context import DONE, Artifact, Decision, Gate, PhaseResult, Usage
from maestro_tui.model.errors import InputError
from maestro_tui.model.summary import AttemptSummary
from maestro_tui.model.text import clean, encodable, format_bytes, format_dollars, format_duration
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.detail import SessionDetail, read_detail
from maestro_tui.store.hive_folder import find_hive
from maestro_tui.store.verdicts import read_verdicts

BAR_COLUMNS = 32


def read_report(root: Path, session_id: str, now: float) -> str:
    """The report of a session on disk. Raises `InputError` when there is none; damage is told in the report."""
    store = CheckpointStore(root)
    session_dir = store.session_dir(session_id)
    if not (session_dir / "history").is_dir() and find_hive(root, session_id) is None:
        raise InputError(f"There is no session {clean(session_id, 80)!r} in {clean(str(root), 200)}.")
    return session_report(read_detail(session_dir, now), now, read_verdicts(session_dir))


def session_report(detail: SessionDetail, now: float, verdicts: Sequence[Decision] = ()) -> str:
    """The whole document, ending with a line break; always encodable as UTF-8."""
    parts = [
        *_head(detail, now),
        *_phases(detail),
        *_timeline(detail, now),
        *_errors(detail),
        *_judgements(detail),
        *_decisions((*detail.decisions, *verdicts)),
        *_artifacts(detail.artifacts),
        *_usage(detail),
        *_commits(detail),
        f"*Written by maestro-tui at {_moment(now)}. All times are UTC; a dash means not known.*",
    ]
    return encodable("\n\n".join(parts) + "\n")


# ── Numbers and times ─────────────────────────────────────────────────────────────────────────────────────


def _moment(at: float | datetime | None) -> str:
    if at is None:
        return "–"
    try:
        moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return "–"
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


# ── The parts ─────────────────────────────────────────────────────────────────────────────────────────────


def _head(detail: SessionDetail, now: float) -> Iterator[str]:
    summary = detail.summary
    yield f"# Session {code(summary.session_id)}: {summary.status}"
    context = detail.head_json.get("context")
    requirement = context.get("requirement") if isinstance(context, Mapping) else None
    yield block(requirement if isinstance(requirement, str) else summary.requirement)
    facts = [
        ("Workflow", words(summary.workflow)),
        ("Workspace", code(summary.workspace) if summary.workspace else "–"),
        ("Began", _moment(summary.created_at)),
        ("Last written", f"{_moment(summary.updated_at)} ({format_duration(now - summary.updated_at)} ago)"),
        ("Runner", _owner(detail)),
        ("Newest commit", f"{summary.seq}, sha256 {code(summary.sha256)}" if summary.seq >= 0 else "none"),
        ("Came from", _lineage(context)),
        ("Why it stands still", words(summary.error) if summary.error else ""),
        ("Damage", "<br>".join(words(line) for line in summary.damage)),
    ]
    yield table(("", ""), [(f"**{name}**", value) for name, value in facts if value])


def _owner(detail: SessionDetail) -> str:
    owner = detail.summary.owner
    if owner is None:
        return "nobody"
    state = {True: "alive", False: "ended", None: "not known whether alive"}[owner.alive]
    return f"{words(owner.words())}, {state}"


def _lineage(context: object) -> str:
    lineage = context.get("lineage") if isinstance(context, Mapping) else None
    if not isinstance(lineage, Mapping):
        return ""
    how = words(lineage.get("how", "fork"))
    return f"{how} of {code(lineage.get('session_id', ''))} at commit {words(lineage.get('seq', ''))}"


def _phases(detail: SessionDetail) -> Iterator[str]:
    def row(name: str) -> Sequence[str]:
        phase = next((one for one in detail.summary.phases if one.name == name), None)
        result = detail.results.get(name)
        status = phase.status if phase is not None else str(result.status) if result is not None else "–"
        notes = []
        if phase is not None and phase.waiting:
            notes.append("waits for approval")
        if phase is not None and phase.stale:
            notes.append(f"stale: {words(phase.stale)}")
        if phase is not None and not phase.selected:
            notes.append("not asked for")
        if result is not None and result.source:
            notes.append(words(result.source))
        if result is not None and result.summary:
            notes.append(words(result.summary))
        took = format_duration(result.duration_seconds) if result is not None else "–"
        attempt = str(phase.attempt if phase is not None else result.attempt if result is not None else 0)
        return words(name), words(status), attempt, took, "; ".join(notes)

    names = [phase.name for phase in detail.summary.phases]
    names += [name for name in detail.results if name not in names]
    yield "## Phases"
    yield table(("Phase", "Status", "Attempt", "Took", ""), map(row, names), (2, 3))


def _timeline(detail: SessionDetail, now: float) -> Iterator[str]:
    yield "## Timeline"
    attempts = detail.attempts
    if not attempts:
        yield "Nothing has run yet."
        return
    ends = [_end(attempt, detail, now) for attempt in attempts]
    first = min(attempt.started_at for attempt in attempts)
    span = max(1e-6, max(ends) - first)

    def row(attempt: AttemptSummary, end: float) -> Sequence[str]:
        left = (attempt.started_at - first) / span * BAR_COLUMNS
        right = (end - first) / span * BAR_COLUMNS
        begin = max(0, min(BAR_COLUMNS - 1, int(left)))
        stop = max(begin + 1, min(BAR_COLUMNS, round(right)))
        bar = "·" * begin + "█" * (stop - begin) + "·" * (BAR_COLUMNS - stop)
        return (
            words(attempt.phase),
            str(attempt.attempt),
            words(attempt.status),
            _moment(attempt.started_at),
            format_duration(end - attempt.started_at),
            f"`{bar}`",
            ", ".join(words(span.persona) for span in attempt.personas),
            "–" if attempt.seq is None else str(attempt.seq),
        )

    head = ("Phase", "Attempt", "Outcome", "Began", "Took", "When", "Personas", "Commit")
    yield table(head, (row(*pair) for pair in zip(attempts, ends, strict=True)), (1, 4, 7))


def _end(attempt: AttemptSummary, detail: SessionDetail, now: float) -> float:
    if attempt.finished_at is not None:
        end = attempt.finished_at
    else:
        end = now if attempt.status == "running" else detail.summary.updated_at
    return max(attempt.started_at, end)


def _errors(detail: SessionDetail) -> Iterator[str]:
    failed = [
        (name, result)
        for name, result in detail.results.items()
        if result.error is not None and result.status not in DONE
    ]
    earlier = [
        one
        for one in detail.attempts
        if one.error
        and not any((one.phase, one.attempt) == (name, result.attempt) for name, result in failed)
    ]
    if not failed and not earlier:
        return
    yield "## What went wrong"
    for name, result in failed:
        error = result.error
        assert error is not None
        who = f", {words(error.persona)}" if error.persona else ""
        yield f"### {words(name)}, attempt {result.attempt} ({error.kind}{who})"
        yield words(error.message)
        if error.tail:
            yield "The last lines:"
            yield block("\n".join(error.tail))
        if error.log:
            yield f"Log: {code(error.log)}"
    if earlier:
        yield "By attempt:"
        yield table(
            ("Phase", "Attempt", "Error"),
            ((words(one.phase), str(one.attempt), words(one.error)) for one in earlier),
            (1,),
        )


def _judgements(detail: SessionDetail) -> Iterator[str]:
    judged = {
        name: result
        for name, result in detail.results.items()
        if result.contract is not None or result.gate is not None or result.quality
    }
    if not judged:
        return
    yield "## Contracts, gates and quality"
    for name, result in judged.items():
        yield f"### {words(name)}"
        yield "\n".join(_judged(result))


def _judged(result: PhaseResult) -> Iterator[str]:
    contract = result.contract
    if contract is not None:
        met = f"{len(contract.fulfilled)} of {len(contract.deliverables)} deliverables are there"
        yield f"- Contract: {met}{': ' + _list(contract.fulfilled) if contract.fulfilled else ''}"
        if contract.missing:
            yield f"- **Missing:** {_list(contract.missing)}"
    if result.gate is not None:
        yield f"- Gate: {_gate(result.gate)}"
        for failure in result.gate.failures[:100]:
            yield f"- **Not met:** {words(failure)}"
    for metric, value in list(result.quality.items())[:200]:
        yield f"- {words(metric)}: {'not measured' if value is None else _number(value)}"


def _gate(gate: Gate) -> str:
    out = [words(gate.verdict)]
    if gate.score is not None:
        out.append(f"score {_number(gate.score)}")
    if isinstance(gate.threshold, dict):
        out += [f"{words(name)} at least {_number(value)}" for name, value in gate.threshold.items()]
    elif gate.threshold is not None:
        out.append(f"at least {_number(gate.threshold)}")
    if gate.by is not None:
        out.append(f"by {words(gate.by)}" + (f", {_moment(gate.at)}" if gate.at is not None else ""))
    if gate.reason:
        out.append(f"because: {words(gate.reason)}")
    return "; ".join(out)


def _list(names: Sequence[str], most: int = 50) -> str:
    shown = ", ".join(code(name, 300) for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _decisions(decisions: Sequence[Decision]) -> Iterator[str]:
    if not decisions:
        return
    yield "## Decisions"
    head = ("Phase", "About", "Choice", "Why", "Instead of", "Decided by", "At")
    yield table(
        head,
        (
            (
                words(one.phase) if one.phase else "session",
                words(one.about),
                words(one.choice) + (f" ({_number(one.score)})" if one.score is not None else ""),
                words(one.rationale),
                ", ".join(words(other, 200) for other in one.alternatives[:20]),
                words(one.decided_by),
                _moment(one.at),
            )
            for one in decisions
        ),
    )


def _artifacts(artifacts: Sequence[Artifact]) -> Iterator[str]:
    yield "## Artifacts"
    if not artifacts:
        yield "No file was left in the workspace."
        return
    yield table(
        ("Phase", "Attempt", "Change", "Path", "Size", "Bytes", "SHA-256"),
        (
            (
                words(one.phase),
                str(one.attempt),
                one.change,
                code(one.path),
                format_bytes(one.size),
                f"{one.size}",
                code(one.sha256),
            )
            for one in artifacts
        ),
        (1, 4, 5),
    )


def _usage(detail: SessionDetail) -> Iterator[str]:
    summary = detail.summary
    whole = Usage(
        seconds=summary.seconds,
        input_tokens=summary.input_tokens,
        output_tokens=summary.output_tokens,
        cost_usd=summary.cost_usd,
    )
    used = [(words(name), result.usage) for name, result in detail.results.items()]
    known = [(name, usage) for name, usage in [*used, ("**in all**", whole)] if usage != Usage()]
    yield "## Usage"
    if not known:
        yield "Not known."
        return
    yield table(
        ("Phase", "Time", "Tokens in", "Tokens out", "Cost"),
        (
            (
                name,
                format_duration(usage.seconds),
                _number(usage.input_tokens),
                _number(usage.output_tokens),
                "–" if usage.cost_usd is None else f"\\{format_dollars(usage.cost_usd)}",
            )
            for name, usage in known
        ),
        (1, 2, 3, 4),
    )
    yield "Of each phase its newest attempt is shown; the sum counts every attempt."


def _commits(detail: SessionDetail) -> Iterator[str]:
    if not detail.history:
        return
    yield "## Commits"
    yield table(
        ("Commit", "Phase", "Attempt", "Outcome", "At", "SHA-256", ""),
        (
            (
                str(one.seq),
                words(one.phase),
                str(one.attempt),
                words(one.status),
                _moment(one.created_at),
                code(one.sha256) if one.sha256 else "–",
                words(one.problem) if one.problem else "",
            )
            for one in detail.history
        ),
        (0, 2),
    )
