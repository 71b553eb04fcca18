"""Model tests talk to loopback only, whatever proxy or endpoint this computer's environment names."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy for 127.0.0.1, and no endpoint of the surroundings."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
