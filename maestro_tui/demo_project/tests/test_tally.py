"""What tally promises."""

import unittest

from tally.invoice import Invoice
from tally.money import Money, split, total


class MoneyTest(unittest.TestCase):
    def test_amounts_are_shown_with_cents(self) -> None:
        self.assertEqual(str(Money(1205)), "12.05 EUR")
        self.assertEqual(str(Money(-5)), "-0.05 EUR")

    def test_currencies_do_not_mix(self) -> None:
        with self.assertRaises(ValueError):
            total([Money(1, "USD")])

    def test_an_even_amount_is_split_evenly(self) -> None:
        self.assertEqual(split(Money(900), 3), [Money(300)] * 3)

    def test_the_parts_add_up_to_the_amount(self) -> None:
        for cents in (0, 1, 100, 101, 9_999):
            for parts in (1, 2, 3, 7):
                self.assertEqual(total(split(Money(cents), parts)), Money(cents), f"{cents} in {parts} parts")


class InvoiceTest(unittest.TestCase):
    def test_shares_pay_the_whole_invoice(self) -> None:
        invoice = Invoice("2026-001", [("paper", Money(1000)), ("ink", Money(501))])
        shares = invoice.shares(["Ann", "Ben"])
        self.assertEqual(total(shares.values()), invoice.amount)


if __name__ == "__main__":
    unittest.main()
