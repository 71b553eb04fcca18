"""What may be done to a session at the moment of a key: each function says, as a sentence, why not; None when it may."""

from __future__ import annotations

from dataclasses import dataclass

from maestro_tui.model.summary import SessionStatus, SessionSummary

NO_SESSION = "There is no session under the cursor."


@dataclass(frozen=True, slots=True)
class Scene:
    """What an action may depend on at the moment of the key."""

    session: SessionSummary | None = None
    marked: int = 0
    own: frozenset[str] = frozenset()
    """Ids of the sessions that run in this process."""
    sorted: bool = False
    """True when the list is in another order than attention first."""


def some_session(scene: Scene) -> str | None:
    """For what is done to the session under the cursor, or to all marked."""
    return None if scene.session is not None or scene.marked else NO_SESSION


def a_session(scene: Scene) -> str | None:
    """For what is done to the session under the cursor."""
    return None if scene.session is not None else NO_SESSION


def idle(scene: Scene) -> str | None:
    """For what may only be done while nobody runs the session."""
    session = scene.session
    if scene.marked:
        return None
    problem = in_our_format(scene)
    if problem is not None or session is None:
        return problem
    if session.owner is not None and session.owner.alive is not False:
        return f"{session.session_id} is running ({session.owner.words()}); cancel it first, or wait."
    return None


def resumable(scene: Scene) -> str | None:
    """For going on: not with what is completed or waits for a person."""
    problem = idle(scene)
    session = scene.session
    if problem is None and not scene.marked and session is not None:
        if session.status is SessionStatus.COMPLETED:
            return f"{session.session_id} is completed; R runs it again from a phase."
        if session.status is SessionStatus.WAITING:
            return f"{session.session_id} waits for your approval; a opens the review."
    return problem


def one_idle(scene: Scene) -> str | None:
    """For what is done to one session, marked or not, while nobody runs it."""
    return idle(Scene(scene.session))


def waiting(scene: Scene) -> str | None:
    """For decisions and answers."""
    session = scene.session
    if session is None:
        return NO_SESSION
    if not any(phase.waiting or phase.asking is not None for phase in session.phases):
        return f"{session.session_id} does not wait for a decision."
    return None


def running(scene: Scene) -> str | None:
    """For stopping what runs, here or in another process of this computer."""
    session = scene.session
    if scene.marked:
        return None
    if session is None:
        return NO_SESSION
    if session.session_id in scene.own:
        return None
    owner = session.owner
    if owner is None or owner.alive is False:
        return f"Nobody runs {session.session_id}; there is nothing to cancel."
    if owner.here and owner.alive:
        return None
    return (
        f"{session.session_id} is run by {owner.words()}, not by this console; "
        "stop it there (ctrl+c stops it resumably)."
    )


def run_by_another_process(scene: Scene) -> str | None:
    """For ending the process that runs the session."""
    session = scene.session
    if session is None:
        return NO_SESSION
    if session.session_id in scene.own:
        return f"{session.session_id} runs in this console; cancel stops it."
    owner = session.owner
    if owner is None or owner.alive is False:
        return f"Nobody runs {session.session_id}; there is no process to stop."
    if not owner.here or owner.alive is None:
        return (
            f"{session.session_id} is run by {owner.words()}; only a process of this computer can be stopped."
        )
    return None


def in_our_format(scene: Scene) -> str | None:
    """For what cannot be done to another program's history."""
    session = scene.session
    if session is None:
        return NO_SESSION
    if session.foreign is not None:
        return f"{session.session_id} is history of {session.foreign}; it can be read, not run."
    return None


def skippable(scene: Scene) -> str | None:
    """For what cannot be done once all is done. While the session runs too: what is in the way is said by the act."""
    problem, session = in_our_format(scene), scene.session
    if problem is None and session is not None and session.status is SessionStatus.COMPLETED:
        return f"{session.session_id} is completed; there is nothing to skip."
    return problem


def in_another_order(scene: Scene) -> str | None:
    """For going back to the order that puts first what needs attention."""
    return None if scene.sorted else "What needs attention stands first already."


def some_mark(scene: Scene) -> str | None:
    """For taking marks away."""
    return None if scene.marked else "No session is marked; space marks one."
