"""Stand-ins for a Maestro Hive engine: each behaves in one way that the real one does or could.

They are imported by the child process through `pythonpath`, as a user's engine is: nothing of ours is here.
"""

import enum
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

PERSONAS = ["requirement_analyst", "backend_developer"]


def normal(session_id, requirement, **changes):
    """A result in the normal shape, with its fifteen keys."""
    result = {
        "success": True,
        "session_id": session_id,
        "requirement": requirement,
        "template_package": None,
        "classification": {
            "type": "bug_fix",
            "complexity": "simple",
            "parallelizability": "fully_parallel",
            "effort_hours": 3.0,
            "confidence": 0.9,
        },
        "blueprint": {
            "id": "pair",
            "name": "A Pair",
            "match_score": 0.7,
            "execution_mode": "sequential",
            "estimated_time_savings": 0.0,
        },
        "team": {"personas": PERSONAS, "size": 2},
        "contracts": [
            {
                "id": f"contract_{n}",
                "name": name,
                "provider": name,
                "consumers": [],
                "type": "Deliverable",
                "mock_available": False,
            }
            for n, name in enumerate(PERSONAS)
        ],
        "execution": {
            "total_duration": 1.0,
            "sequential_duration": 0.2,
            "time_savings_percent": -4.0,
            "parallelization_achieved": 1.0,
            "personas_executed": 2,
            "groups_executed": 2,
        },
        "deliverables": {
            "backend_developer": {
                "files_created": ["notes.md", "notes.md"],
                "deliverables": {},
                "contract_fulfilled": True,
                "quality_score": None,
            }
        },
        "quality": {
            "overall_quality_score": 0.85,
            "quality_by_persona": {"backend_developer": None},
            "contracts_fulfilled": 2,
            "contracts_total": 2,
            "integration_issues": 0,
        },
        "quality_fabric": None,
        "duration_seconds": 1.2,
        "project_dir": "generated",
        "verdict": {
            "overall_score": 0.7,
            "grade": "C",
            "deployment_decision": "conditional",
            "weaknesses": [],
        },
        "a_key_of_tomorrow": {"any": "thing"},
    }
    result.update(changes)
    return result


class TeamExecutionEngineV2:
    """The real one's signature. Writes files into `output_dir` and keeps what it was given in one of them."""

    def __init__(self, output_dir=None, session_manager=None, contract_manager=None):
        self.output_dir = output_dir
        self.given = {"session_manager": session_manager}

    async def execute(self, requirement, constraints=None, session_id=None):
        folder = pathlib.Path(self.output_dir)
        (folder / "notes.md").write_text("# Notes\n")
        # As the real one does with each contract, and with all constraints.
        ids = [contract.id for contract in constraints["previous_phase_contracts"]]
        seen = {
            "constraints": json.loads(json.dumps(constraints)),
            "contract_ids": ids,
            "cwd": os.getcwd(),
            "session_manager": self.given["session_manager"],
        }
        (folder / "seen.json").write_text(json.dumps(seen))
        return normal(session_id, requirement)


class Nobody:
    """Says that all went well, with no persona run."""

    async def execute(self, requirement, constraints=None, session_id=None):
        execution = {"personas_executed": 0, "groups_executed": 0}
        return normal(session_id, requirement, execution=execution, contracts=[])


class Fewer:
    """Fewer personas worked than there are contracts."""

    async def execute(self, requirement, constraints=None, session_id=None):
        return normal(session_id, requirement, execution={"personas_executed": 1})


class Blocked:
    """Says that all went well, under a blocked verdict."""

    async def execute(self, requirement, constraints=None, session_id=None):
        verdict = {
            "grade": "F",
            "deployment_decision": "blocked",
            "weaknesses": ["Poor BDV performance (0.0%)"],
        }
        return normal(session_id, requirement, verdict=verdict)


class GateBlocked:
    """The other shape: ten keys, no quality, no execution."""

    async def execute(self, requirement, constraints=None, session_id=None):
        return {
            "success": False,
            "session_id": session_id,
            "requirement": requirement,
            "phase_gate_blocked": True,
            "gate_status": "blocked",
            "blockers": ["no tests were written", "2 files lack a header"],
            "quality_score": 41.0,
            "recommendations": ["write tests"],
            "error": "Phase gate blocked",
            "quality_fabric": {"available": True},
        }


class Nulls:
    """Null wherever a score may be null."""

    async def execute(self, requirement, constraints=None, session_id=None):
        quality = {
            "overall_quality_score": None,
            "quality_by_persona": None,
            "contracts_fulfilled": None,
            "contracts_total": None,
            "integration_issues": None,
        }
        return normal(
            session_id,
            requirement,
            quality=quality,
            verdict=None,
            classification=None,
            blueprint=None,
            team=None,
            deliverables=None,
        )


class NotANumber:
    """A score that JSON has no word for."""

    async def execute(self, requirement, constraints=None, session_id=None):
        return normal(session_id, requirement, quality={"overall_quality_score": float("nan")})


class Loud:
    """Prints what could be taken for a protocol, bytes that are no text, and a line without an end."""

    async def execute(self, requirement, constraints=None, session_id=None):
        print('{"result": {"success": false}}')
        print("\U0001f680 starting", file=sys.stderr)
        sys.stdout.buffer.write(b"\xff\xfe\x00 raw\n")
        sys.stdout.write("no end")
        return normal(session_id, requirement)


class Exits:
    """Ends its own process with a good exit code."""

    async def execute(self, requirement, constraints=None, session_id=None):
        sys.exit(0)


class Vanishes:
    """Ends its own process so that nothing can catch it."""

    async def execute(self, requirement, constraints=None, session_id=None):
        os._exit(0)


class Raises:
    async def execute(self, requirement, constraints=None, session_id=None):
        raise KeyError("quality")


class Blocking:
    """Blocks its event loop, with a grandchild, until somebody ends the process group."""

    async def execute(self, requirement, constraints=None, session_id=None):
        child = subprocess.Popen(["sleep", "300"])
        print(f"grandchild {child.pid}", flush=True)
        time.sleep(300)


class Unhelpful:
    """Returns things that JSON does not hold, also within themselves."""

    async def execute(self, requirement, constraints=None, session_id=None):
        circle = []
        circle.append(circle)
        return normal(
            session_id,
            requirement,
            lock=threading.Lock(),
            path=pathlib.PurePosixPath("a/b"),
            names={"one"},
            circle=circle,
        )


class Nothing:
    async def execute(self, requirement, constraints=None, session_id=None):
        return None


class Thread:
    """Leaves a thread behind that never ends."""

    def execute(self, requirement, constraints=None, session_id=None):
        threading.Thread(target=time.sleep, args=(300,)).start()
        return normal(session_id, requirement)


class EventType(enum.Enum):
    WORKFLOW_STARTED = "workflow_started"
    PHASE_STARTED = "phase_started"
    PHASE_COMPLETED = "phase_completed"


class _Bus:
    """Like theirs: only those who subscribed to the very type hear of an event."""

    def __init__(self):
        self.handlers = {}

    def subscribe(self, event_type, handler):
        if not isinstance(event_type, EventType):
            raise TypeError("no event type")
        self.handlers.setdefault(event_type, []).append(handler)

    async def emit_async(self, event_type, data):
        for handler in self.handlers.get(event_type, ()):
            await handler(type("Event", (), {})() if data is None else _Event(event_type, data))


class _Event:
    def __init__(self, event_type, data):
        self.event_type, self.data = event_type, data


class Telling:
    """Has an event bus, and takes a progress callback."""

    def __init__(self, output_dir=None, progress_callback=None):
        self.event_bus = _Bus()
        self.progress_callback = progress_callback

    async def execute(self, requirement, constraints=None, session_id=None):
        await self.event_bus.emit_async(EventType.WORKFLOW_STARTED, {"requirement": requirement})
        await self.event_bus.emit_async(
            EventType.PHASE_COMPLETED, {"phase": "team_execution", "duration_seconds": 2}
        )
        self.progress_callback({"type": "quality_check", "quality_score": 0.85})
        return normal(session_id, requirement)


READY = Nobody()
"""An object, not a class."""


def made_by_function(output_dir):
    """A function that makes an engine."""
    return TeamExecutionEngineV2(output_dir=output_dir)
