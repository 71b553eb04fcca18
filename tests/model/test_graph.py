"""What follows from who needs whom."""

from __future__ import annotations

from maestro_tui.model.graph import Needs, circle, reached, sorted_by_needs, turned

DIAMOND: Needs = {"join": ("left", "right"), "right": ("root",), "left": ("root",), "root": (), "alone": ()}


def test_each_name_comes_after_what_it_needs_and_ties_keep_the_order_of_definition() -> None:
    assert sorted_by_needs(DIAMOND) == ("root", "right", "left", "join", "alone")


def test_near_and_far_are_reached_in_both_directions() -> None:
    assert reached(DIAMOND, "join") == {"left", "right", "root"}
    assert reached(DIAMOND, "root") == frozenset()
    assert reached(turned(DIAMOND), "root") == {"left", "right", "join"}
    assert reached(turned(DIAMOND), "alone") == frozenset()


def test_a_circle_is_told_with_its_first_name_at_both_ends() -> None:
    found = circle({**DIAMOND, "root": ("join",)})
    assert found[0] == found[-1] and len(found) == len(set(found)) + 1
    assert set(found) in ({"join", "left", "root"}, {"join", "right", "root"})
    assert circle(DIAMOND) == []
