"""Tells from a provider's words and numbers what went wrong, and whether another try can help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from maestro_tui.model.text import clean

TroubleKind = Literal["auth", "billing", "limit", "overloaded", "budget", "other"]

_CODE = r"(?:status|http|code|error)\W{0,4}"
_AUTH = re.compile(
    _CODE
    + r"40[13]\b|unauthori[sz]ed|unauthenticated|authentication|auth method|not logged in|/login\b|forbidden"
    r"|invalid.{0,20}api.?key|api.?key.{0,20}(?:not |in)valid|permission_denied",
    re.I,
)
_BILLING = re.compile(r"insufficient.quota|credit balance|billing|payment required", re.I)
_LIMIT = re.compile(
    _CODE + r"429\b|rate.?limit|too many requests|quota|usage limit|resource.?exhausted|limit reached", re.I
)
_OVERLOADED = re.compile(_CODE + r"5[0-3]\d\b|overloaded|high demand|unavailable|server.error", re.I)
_WAIT = re.compile(
    r"(?:try again|retry|reset\w*|retrydelay\W*)\W*(?:in|after)?\W*(\d+(?:\.\d+)?)\s*(ms|s|sec\w*|m|min\w*|h|hours?)\b",
    re.I,
)
_EPOCH = re.compile(r"\|\s*(\d{10})\b")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_WAIT = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the agent or its provider could not do. `said` are its own words, clean."""

    kind: TroubleKind
    said: str
    retry_after: float | None = None
    """Seconds that the other side asks to wait."""

    @property
    def retry(self) -> bool:
        """False when another try cannot help."""
        return self.kind not in ("auth", "billing", "budget")

    @property
    def what(self) -> str:
        """The kind in words, as the beginning of a sentence's second half."""
        return {
            "auth": "its provider refused the login or key",
            "billing": "its provider refuses for want of credit",
            "limit": "its provider's rate limit or quota is used up",
            "overloaded": "its provider is out of order or overloaded",
            "budget": "its budget is spent",
            "other": "it reported an error",
        }[self.kind]


def trouble_from(
    said: str, *, status: int | None = None, retry_after: float | None = None, now: float | None = None
) -> Trouble:
    """What these words, and the HTTP status if there is one, mean. `now` (epoch seconds) turns a time of day
    that they name into a wait."""
    shown = clean(" ".join(said.split()), 600) or "it gave no reason"
    return Trouble(_kind(shown, status), shown, retry_after or _wait(shown, now))


def _kind(said: str, status: int | None) -> TroubleKind:
    if status == 402 or _BILLING.search(said):
        return "billing"
    if status is not None:
        if status in (401, 403):
            return "auth"
        if status == 429:
            return "limit"
        return "overloaded" if status >= 500 else "other"
    if _LIMIT.search(said):
        return "limit"
    if _AUTH.search(said):
        return "auth"
    return "overloaded" if _OVERLOADED.search(said) else "other"


def _wait(said: str, now: float | None) -> float | None:
    found = _WAIT.search(said)
    if found is not None:
        unit = found[2].lower()
        seconds = float(found[1]) * _SECONDS["ms" if unit == "ms" else unit[0]]
        return min(seconds, _LONGEST_WAIT)
    at = _EPOCH.search(said)
    if at is not None and now is not None:
        return min(max(0.0, float(at[1]) - now), _LONGEST_WAIT)
    return None
