"""Amounts of money in whole cents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Money:
    """An amount in one currency, counted in cents."""

    cents: int
    currency: str = "EUR"

    def __add__(self, other: Money) -> Money:
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.cents + other.cents, self.currency)

    def __str__(self) -> str:
        sign = "-" if self.cents < 0 else ""
        return f"{sign}{abs(self.cents) // 100}.{abs(self.cents) % 100:02d} {self.currency}"


def split(amount: Money, parts: int) -> list[Money]:
    """Equal parts of an amount; they add up to it again."""
    if parts < 1:
        raise ValueError("an amount has at least one part")
    share, left = divmod(amount.cents, parts)
    return [Money(share, amount.currency) for _ in range(parts)]


def total(amounts: Iterable[Money], currency: str = "EUR") -> Money:
    """The sum of amounts; zero when there are none."""
    result = Money(0, currency)
    for amount in amounts:
        result = result + amount
    return result
