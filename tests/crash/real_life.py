"""What an operator does with `maestro-tui` on a real disk, and whether it still stands after a power loss."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.checkpoint import Checkpoint
from maestro_tui.model.errors import MaestroError
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.history_files import commit_numbers, commit_path
from maestro_tui.store.lease import hold_session
from maestro_tui.store.summaries import read_summary
from maestro_tui.store.workspace_git import REPOSITORY
from tests.crash.disk import CrashState, Disk
from tests.crash.facts import Committed, Kept, Pruned, promises_noted
from tests.crash.recovery import (
    SPOILT_RECORD,
    files_as_committed,
    noted,
    readable_by_git,
    unpromised,
    views_right,
)
from tests.crash.scene import put

NEEDS = {"plan": (), "left": ("plan",), "right": ("plan",), "join": ("left", "right")}
WORK = 'mkdir -p "out/$MAESTRO_SESSION_ID"; echo "$MAESTRO_PHASE" > "out/$MAESTRO_SESSION_ID/$MAESTRO_PHASE.$MAESTRO_ATTEMPT"'
"""What each phase does: a file of its own for each attempt, in a folder that it makes."""
ROUNDS = 6
"""Resumes and approvals at most until a session is at its end."""
COMPLETED, FAILED, WAITING = 0, 1, 3


@dataclass(frozen=True)
class Open:
    """From here on a session is being removed or brought in: it is there whole, or not at all."""

    session: str


@dataclass(frozen=True)
class Exported:
    """A bundle was acknowledged as written."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Life:
    """Where it is lived: everything of it lies on the disk."""

    place: Path

    @property
    def root(self) -> Path:
        """The checkpoint directory."""
        return self.place / "kept" / "root"

    @property
    def workspace(self) -> Path:
        """The project's folder."""
        return self.place / "work"

    def say(self, *words: str, expect: Sequence[int] = (COMPLETED,)) -> int:
        """Run `maestro-tui` with these words in a child; its exit code. Raises `AssertionError` for another one."""
        with tempfile.TemporaryFile() as said:
            child = os.fork()
            if child == 0:
                self._in_child(words, said.fileno())
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            if code not in expect:
                said.seek(0)
                text = said.read().decode("utf-8", "replace")
                raise AssertionError(f"maestro-tui {' '.join(words)}: exit code {code}: {text[-1500:]}")
        return code

    def _in_child(self, words: Sequence[str], output: int) -> None:
        code = 70
        try:
            from maestro_tui.cli import main

            signal.alarm(60)
            home = self.place / "home"
            os.environ |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home)}
            quiet = os.open(os.devnull, os.O_RDONLY)
            for fd, target in ((quiet, 0), (output, 1), (output, 2)):
                os.dup2(fd, target)
            sys.argv = ["maestro-tui", "--checkpoint-dir", str(self.root), *words]
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 70
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def run(self, session: str, *words: str) -> int:
        """Begin a session."""
        where = ("--workspace", str(self.workspace), "--trust")
        return self.say("run", "Build it", "--session-id", session, *where, *words, expect=_ANY)

    def resume(self, session: str, *words: str) -> int:
        """Go on with it."""
        where = ("--workspace", str(self.workspace), "--trust")
        return self.say("resume", session, *where, *words, expect=_ANY)

    def approve(self, session: str) -> None:
        """Say yes to its last phase."""
        self.say("approve", session, "join", "--reason", "good", "--by", "ada")


_ANY = (COMPLETED, FAILED, WAITING)


# ── The life ──────────────────────────────────────────────────────────────────────────────────────────────


def live(life: Life, tell: Callable[[object], None], begun: Callable[[], None]) -> None:
    """Live it; each promise is told as the child that acts gets it. The power may fail from `begun` on."""
    store = CheckpointStore(life.root)
    life.workspace.mkdir()
    (life.workspace / "maestro.toml").write_text("\n".join(_workflow()) + "\n")
    begun()
    with promises_noted(tell):
        assert life.run("s1") == FAILED
        put(life.workspace / "mended", b"yes")
        assert life.resume("s1") == WAITING
        life.approve("s1")
        assert life.resume("s1") == COMPLETED
        put(life.place / "edit.json", b'{"said": "otherwise"}')
        put(life.workspace / "notes.txt", b"made by hand")
        life.say(
            "edit", "s1", "plan", str(life.place / "edit.json"), "--artifact", "notes.txt", "--by", "ada"
        )
        assert life.resume("s1", "--from", "right") == WAITING
        life.approve("s1")
        assert life.resume("s1") == COMPLETED
        life.say("fork", "s1", "--at", "2", "--session-id", "s2")
        assert life.resume("s2") == WAITING
        _take_over(life, store)
        life.approve("s2")
        assert life.resume("s2") == COMPLETED
        bundle = life.place / "s1.bundle"
        life.say("export", "s1", "-o", str(bundle))
        tell(Exported(str(bundle), _sha256(bundle)))
        for session in ("s1", "s2"):
            tell(Open(session))
        life.say("prune", "--keep", "0")
        for session in ("s1", "s2"):
            tell(Pruned(session))
        tell(Open("s1"))
        life.say("import", str(bundle))
        for seq in commit_numbers(store.session_dir("s1")):
            tell(Committed("s1", seq, commit_path(store.session_dir("s1"), seq).read_bytes()))
        assert life.resume("s1", "--from", "join") == WAITING
        life.approve("s1")
        assert life.resume("s1") == COMPLETED


def _workflow() -> Iterator[str]:
    yield 'name = "diamond"'
    for phase, needs in NEEDS.items():
        command = f"{WORK}; test -f mended" if phase == "left" else WORK
        yield f'[[phases]]\nname = "{phase}"\nneeds = {json.dumps(needs)}'
        # Else a file that a phase beside it is writing would be listed with both.
        yield f'deliverables = ["out/*/{phase}.*"]'
        if phase == "join":
            yield "approval = true"
        yield f'[[phases.personas]]\nname = "worker"\nshell = {json.dumps(command)}'


def _take_over(life: Life, store: CheckpointStore) -> None:
    """From a runner that has stopped without dying."""
    ready, held = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with hold_session(store.session_dir("s2")):
                os.write(held, b"!")
                signal.pause()
        finally:
            os._exit(70)
    try:
        assert os.read(ready, 1) == b"!"
        os.kill(child, signal.SIGSTOP)
        life.say("doctor", "s2", "--take-over", "--reason", "it hangs", "--by", "ada")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(held)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ── What a power loss left of it ──────────────────────────────────────────────────────────────────────────


def problems_of_life(life: Life, facts: Sequence[object]) -> list[str]:
    """Look at what is there, bring every session to its end, look again; what was not as promised."""
    try:
        return list(_problems(life, facts))
    except (MaestroError, OSError, ValueError, LookupError, AssertionError) as error:
        return [f"recovery broke off: {type(error).__name__}: {error}"]


def _problems(life: Life, facts: Sequence[object]) -> Iterator[str]:
    store = CheckpointStore(life.root)
    for fact in facts:
        if isinstance(fact, Exported) and (
            not os.path.exists(fact.path) or _sha256(Path(fact.path)) != fact.sha256
        ):
            yield "the bundle was acknowledged and is not there as it was"
    life.say("list")
    for session in ("s1", "s2"):
        there = store.exists(session)
        valid, may_go, gone = _still_valid(session, facts)
        if gone and there:
            yield f"{session}: it was removed and is there again"
        if there or not may_go:
            yield from _as_promised(store, session, valid)
        if there:
            yield from _goes_on(life, store, session, valid)
            yield from _as_promised(store, session, valid)
    if not store.exists("s1"):
        life.run("s1")
        yield from _to_the_end(life, store, "s1")


def _still_valid(session: str, facts: Sequence[object]) -> tuple[list[object], bool, bool]:
    """What counts for a session since it was removed last; whether it may be gone; whether it must be."""
    valid: list[object] = []
    may_go = gone = False
    for fact in facts:
        if isinstance(fact, Pruned) and fact.session == session:
            valid, may_go, gone = [], True, True
        elif isinstance(fact, Open) and fact.session == session:
            may_go, gone = True, False
        elif isinstance(fact, Committed) and fact.session == session:
            may_go = gone = False
        valid.append(fact)
    return valid, may_go, gone


def _as_promised(store: CheckpointStore, session: str, facts: Sequence[object]) -> Iterator[str]:
    folder = store.session_dir(session)
    there = set(commit_numbers(folder))
    for fact in facts:
        if isinstance(fact, Committed) and fact.session == session:
            if fact.seq not in there:
                yield f"{session}: commit {fact.seq} was acknowledged and is gone"
            elif commit_path(folder, fact.seq).read_bytes() != fact.data:
                yield f"{session}: commit {fact.seq} was acknowledged and is changed"
    if there:
        yield from noted(CrashState(Disk(), 0, tuple(facts), ""), session, folder)


def _goes_on(life: Life, store: CheckpointStore, session: str, facts: Sequence[object]) -> Iterator[str]:
    """A viewer sees the truth, then the session comes to its end and runs nothing again."""
    before, damage = store.head_with_damage(session)
    summary = read_summary(store.session_dir(session), before.created_at.timestamp())
    yield from (
        f"{session}: damage: {line}"
        for line in (*damage, *unpromised(summary.damage, store.session_dir(session)))
    )
    if summary.status == "running":
        yield f"{session}: it is shown as running"
    yield from files_as_committed(store, session)
    kept = [
        tree for fact in facts if isinstance(fact, Kept) and fact.session == session for tree in fact.trees
    ]
    if kept:
        yield from readable_by_git(store.session_dir(session) / REPOSITORY, dict(kept))
    yield from _to_the_end(life, store, session)
    after = store.head(session)
    if not before.context.edits and not before.context.rerun:
        again = [
            name
            for name in _done(before)
            if after.context.phase_results[name].attempt != _attempt(before, name)
        ]
        if again:
            yield f"{session}: committed phases ran again: {again}"


def _to_the_end(life: Life, store: CheckpointStore, session: str) -> Iterator[str]:
    put(life.workspace / "mended", b"yes")
    for _ in range(ROUNDS):
        if life.resume(session) == COMPLETED:
            break
        head = store.head(session)
        if read_summary(store.session_dir(session), head.created_at.timestamp()).status == "waiting":
            life.approve(session)
    head, damage = store.head_with_damage(session)
    if set(_done(head)) != set(NEEDS) or damage:
        yield f"{session}: it did not come to its end ({sorted(_done(head))}; {damage})"
    yield from views_right(store, session)
    yield from files_as_committed(store, session)
    lines = [line for line in store.verify(session) if not SPOILT_RECORD.match(line)]
    yield from (f"{session}: verify still says: {line}" for line in lines)


def _done(head: Checkpoint) -> list[str]:
    return [name for name, result in head.context.phase_results.items() if result.done]


def _attempt(head: Checkpoint, phase: str) -> int:
    return head.context.phase_results[phase].attempt
