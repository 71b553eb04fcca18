"""Invoices: lines with amounts, and who pays which part."""

from __future__ import annotations

from dataclasses import dataclass, field

from tally.money import Money, split, total


@dataclass
class Invoice:
    """An invoice with its lines."""

    number: str
    lines: list[tuple[str, Money]] = field(default_factory=list)

    @property
    def amount(self) -> Money:
        """What is to be paid."""
        return total(money for _, money in self.lines)

    def shares(self, payers: list[str]) -> dict[str, Money]:
        """Each payer's part."""
        return dict(zip(payers, split(self.amount, len(payers)), strict=True))
