"""Runs in the user's own Python: imports their engine, lets it execute one phase, and leaves the result in a file.

Standard library only, and nothing of maestro-tui is imported: the interpreter is the one that their engine
needs. Whatever the engine prints goes to the streams as it is; what we have to say goes into files of ours.

    python hive_child.py CALL.json

CALL.json: {engine, pythonpath, output_dir, arguments, requirement, constraints, session_id, events, result}.
One JSON object a line is appended to the file `events`; `result` gets {"result": …, "replaced": [places]} or
{"problem": a sentence}.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # This file's own folder would hide modules of theirs that have the same names as ours.
    sys.path.pop(0)

import asyncio
import contextlib
import dataclasses
import datetime
import decimal
import enum
import importlib
import inspect
import json
import math
import os
import pathlib
import threading
import traceback
from collections.abc import Iterator
from typing import Any

DEPTH_LIMIT = 100
TEXT_LIMIT = 2_000


class Problem(Exception):
    """Why there is no result, as a sentence."""


class Contract(dict):  # type: ignore[type-arg]
    """A contract as the engine wants it: JSON can hold it, and its keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class _Done:
    """What a handler returns: nothing for a bus that calls, nothing to wait for on a bus that awaits."""

    def __await__(self) -> Iterator[None]:
        return iter(())


class Events:
    """Appends what the engine tells to a file, one JSON object a line; safe to use from any thread."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._file = pathlib.Path(path).open("a", encoding="ascii")  # noqa: SIM115

    def tell(self, kind: object, data: object) -> None:
        """Append one event; `kind` is its type, `data` anything."""
        line = json.dumps({"type": str(kind)[:200], "data": Plain().value(data)})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def on_event(self, event: Any, *_: object) -> _Done:
        """For their bus: an event object, or a dictionary."""
        fields = event if isinstance(event, dict) else getattr(event, "__dict__", None)
        if not isinstance(fields, dict) and dataclasses.is_dataclass(event):
            fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        fields = fields if isinstance(fields, dict) else {"event": event}
        kind = fields.get("event_type", fields.get("type", type(event).__name__))
        self.tell(getattr(kind, "value", kind), fields.get("data", fields))
        return _Done()

    def on_progress(self, *words: Any, **named: Any) -> _Done:
        """For a progress callback, whichever way it is called."""
        data: dict[str, Any] = dict(named)
        kind = data.get("type", "progress")
        for word in words:
            if isinstance(word, dict):
                data.update(word)
                kind = word.get("type", word.get("event_type", kind))
            elif isinstance(word, str) and kind == "progress":
                kind = word
            else:
                data.setdefault("values", []).append(word)
        self.tell(getattr(kind, "value", kind), data)
        return _Done()


class Plain:
    """Makes JSON values of what an engine returns; `replaced` names the places where only text could stand in."""

    def __init__(self) -> None:
        self.replaced: list[str] = []
        self._within: set[int] = set()

    def value(self, value: Any, place: str = "", depth: int = 0) -> Any:
        """The value as JSON can hold it."""
        if depth > DEPTH_LIMIT:
            return self._text(value, place)
        if isinstance(value, enum.Enum):
            return self.value(value.value, place, depth + 1)
        if value is None or isinstance(value, (bool, str)):
            return value
        if isinstance(value, int):
            # Longer numbers cannot be read back.
            return int(value) if abs(value) < 10**1000 else self._text("a number of many digits", place)
        if isinstance(value, (float, decimal.Decimal)):
            number = float(value)
            return number if math.isfinite(number) else None
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            if id(value) in self._within:
                return self._text("a circle", place)
            self._within.add(id(value))
            try:
                return self._parts(value, place, depth)
            finally:
                self._within.discard(id(value))
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if isinstance(value, pathlib.PurePath):
            return str(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self.value(fields, place, depth + 1)
        return self._text(value, place)

    def _parts(self, value: Any, place: str, depth: int) -> Any:
        if isinstance(value, dict):
            return {
                str(getattr(key, "value", key)): self.value(item, f"{place}.{key}", depth + 1)
                for key, item in value.items()
            }
        return [self.value(item, f"{place}[{n}]", depth + 1) for n, item in enumerate(value)]

    def _text(self, value: object, place: str) -> str:
        self.replaced.append(place.lstrip(".")[:200])
        return repr(value)[:TEXT_LIMIT] if not isinstance(value, (dict, list)) else "nested too deeply"


def engine_of(call: dict[str, Any], events: Events) -> Any:
    """Their engine: the class built with what its signature takes, or the object itself."""
    module_name, _, name = call["engine"].partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        traceback.print_exc()
        raise Problem(
            f"The module {module_name!r} cannot be imported ({type(error).__name__}: {error}); `pythonpath` and "
            "`cwd` in its options say where it is looked for."
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise Problem(f"The module {module_name!r} has no {name!r}.")
        found = getattr(found, part)
    if not isinstance(found, type) and hasattr(found, "execute"):
        return found
    if not callable(found):
        raise Problem(f"{call['engine']!r} is no class and has no method 'execute'.")
    unknown = [key for key in call["arguments"] if key not in _taken(found, call["arguments"])]
    if unknown:
        raise Problem(f"{call['engine']!r} does not take the argument {unknown[0]!r}; change its options.")
    offered = {
        **_taken(found, {"output_dir": call["output_dir"]}),
        **_named(found, {"progress_callback": events.on_progress}),
    }
    engine = found(**{**offered, **call["arguments"]})
    if not callable(getattr(engine, "execute", None)):
        raise Problem(f"{call['engine']!r} has no method 'execute'.")
    return engine


def _taken(function: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that a callable takes, by name or with `**`."""
    if any(one.kind is one.VAR_KEYWORD for one in _parameters(function)):
        return dict(offered)
    return _named(function, offered)


def _named(function: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that a callable takes by their own name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = {one.name for one in _parameters(function) if one.kind in kinds}
    return {key: value for key, value in offered.items() if key in names}


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def subscribe(engine: Any, session_id: str, events: Events) -> None:
    """Listen to each event type of their bus, where they have one; to all at once it stays silent."""
    for bus in _buses(engine, session_id):
        listen = getattr(bus, "subscribe", None)
        kinds = _event_types(bus)
        if not callable(listen) or not kinds:
            continue
        try:
            for kind in kinds:
                listen(kind, events.on_event)
        except Exception:
            # Their events are only shown: without them the work goes on.
            traceback.print_exc()
        return


def _event_types(bus: Any) -> list[Any]:
    """The members of the enumeration `EventType`: beside the bus, else in any module that the engine brought in."""
    modules = [sys.modules.get(type(bus).__module__), *list(sys.modules.values())]
    for module in modules:
        found = getattr(module, "EventType", None)
        if isinstance(found, type) and issubclass(found, enum.Enum):
            return list(found)
    return []


def _buses(engine: Any, session_id: str) -> Iterator[Any]:
    """Whatever may be their bus: the engine's own, else what a module beside the event types hands out."""
    for name in ("event_bus", "_event_bus", "bus"):
        found = getattr(engine, name, None)
        if found is not None:
            yield found
    for module in list(sys.modules.values()):
        hand_out = getattr(module, "get_event_bus", None)
        if callable(hand_out):
            try:
                yield hand_out(**_named(hand_out, {"session_id": session_id, "workflow_id": session_id}))
            except Exception:
                traceback.print_exc()


def execute(call: dict[str, Any], events: Events) -> Any:
    """Let the engine work and wait for its end; its result as it returned it."""
    engine = engine_of(call, events)
    subscribe(engine, call["session_id"], events)
    constraints = dict(call["constraints"])
    constraints["previous_phase_contracts"] = list(map(Contract, constraints["previous_phase_contracts"]))
    named = {
        **_taken(engine.execute, {"constraints": constraints, "session_id": call["session_id"]}),
        **_named(engine.execute, {"progress_callback": events.on_progress}),
    }
    if "requirement" in _taken(engine.execute, {"requirement": ""}):
        result = engine.execute(requirement=call["requirement"], **named)
    else:
        result = engine.execute(call["requirement"], **named)
    if inspect.isawaitable(result):
        return asyncio.run(_waited_for(result))
    return result


async def _waited_for(result: Any) -> Any:
    return await result


def answer(call: dict[str, Any]) -> dict[str, Any]:
    """What goes into the result file. Nothing that the engine raises passes, not even its exit."""
    events = Events(call["events"])
    try:
        result = execute(call, events)
    except Problem as problem:
        return {"problem": str(problem)}
    except SystemExit as stop:
        traceback.print_exc()
        return {"problem": f"The engine ended its own process (exit code {stop.code}) in place of returning."}
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        traceback.print_exc()
        return {"problem": f"The engine raised {type(error).__name__}: {error}"}
    plain = Plain()
    return {"result": plain.value(result, "result"), "replaced": plain.replaced[:50]}


def leave(path: str, document: dict[str, Any]) -> None:
    """Write the result file so that it is there whole or not at all."""
    temp = pathlib.Path(path + ".part")
    with temp.open("w", encoding="ascii") as file:
        json.dump(document, file)
    temp.replace(path)


def main() -> None:
    """Read the call, execute it, leave the answer."""
    call = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="ascii"))
    sys.path[:0] = call["pythonpath"]
    leave(call["result"], answer(call))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    # Threads that the engine left would keep this process alive for ever; the result is on disk.
    os._exit(0)


if __name__ == "__main__":
    main()
