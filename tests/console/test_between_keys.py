"""The clock's tick gives way to keys, but not for ever."""

from __future__ import annotations

import time

import pytest

from maestro_tui.console.between_keys import MOST, between_keys
from tests.console.fakes import busy_fleet, console


async def test_a_tick_waits_while_keys_come_but_a_few_times_only(monkeypatch: pytest.MonkeyPatch) -> None:
    app, ticks = console(busy_fleet()), []
    async with app.run_test(size=(120, 40)) as pilot:
        tick = between_keys(app.screen, lambda: ticks.append(1))
        tick()
        assert len(ticks) == 1, "nobody types"
        await pilot.press("j")
        moment = app.typed_at
        monkeypatch.setattr(time, "monotonic", lambda: moment + 0.1)
        for _ in range(MOST):
            tick()
        assert len(ticks) == 1, "what answers the keys comes first"
        tick()
        assert len(ticks) == 2, "a key that is held does not stop the clock"
        monkeypatch.setattr(time, "monotonic", lambda: moment + 10)
        tick()
        assert len(ticks) == 3
