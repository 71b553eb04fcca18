"""The command `tally AMOUNT PARTS`."""

from __future__ import annotations

import argparse

from tally.money import Money, split


def main() -> None:
    """Split an amount given in cents."""
    parser = argparse.ArgumentParser(prog="tally", description="Split an amount into equal parts, to the cent.")
    parser.add_argument("cents", type=int)
    parser.add_argument("parts", type=int)
    arguments = parser.parse_args()
    for share in split(Money(arguments.cents), arguments.parts):
        print(share)


if __name__ == "__main__":
    main()
