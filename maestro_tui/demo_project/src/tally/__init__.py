"""Splits invoices and adds them up, to the cent."""

from tally.money import Money, split, total

__all__ = ["Money", "split", "total"]
