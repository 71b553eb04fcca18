"""Text from outside can never steer a terminal."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.model.text import (
    clean,
    clean_lines,
    clean_output,
    format_bytes,
    format_dollars,
    format_duration,
    new_session_id,
    session_id_problem,
    typable,
    uncoloured,
)


@given(st.text(st.characters()), st.integers(2, 200))
def test_no_control_or_hidden_character_survives(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert len(shown) <= limit
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


def test_controls_are_shown_not_dropped() -> None:
    assert clean("a\x1b[31mb\x07\x7f\x9b") == "a␛[31mb␇␡<U+009B>"
    assert clean("\u202eevil") == "<U+202E>evil"
    assert clean("a\nb") == "a␊b"
    assert clean_lines("a\r\nb\x1b") == "a\nb␛"


def test_the_colours_of_a_program_become_runs_and_no_other_sequence_is_obeyed() -> None:
    text, runs = clean_output("\x1b[1;31mbad\x1b[22m red\x1b[0m plain \x1b[4munder\x1b[mend")
    assert text == "bad red plain underend"
    assert [(text[one:end], names) for one, end, names in runs] == [
        ("bad", "bold red"),
        (" red", "red"),
        ("under", "underline"),
    ]
    steering = "\x1b]0;title\x07\x1b[2J\x1b[31;1Hx\x1b[?25l\x9b31m\x1b[\x1b[31mm"
    shown, runs = clean_output(steering)
    assert shown == clean("\x1b]0;title\x07\x1b[2J\x1b[31;1Hx\x1b[?25l\x9b31m\x1b[m")
    assert not any(ord(char) < 32 for char in shown)
    assert [names for *_, names in runs] == ["red"]


@pytest.mark.parametrize(
    ("codes", "names"),
    [
        ("38;5;9", "red"),
        ("38:5:2", "green"),
        ("38;5;208", ""),
        ("38;2;1;4;31", ""),
        ("48;5;1", ""),
        ("48;2;31;31;31;35", "magenta"),
        ("97", ""),
        ("92", "green"),
        ("31;39", ""),
        ("38", ""),
        ("38;5", ""),
        pytest.param("9" * 5_000, "", id="a number beyond all bounds"),
        ("31;;1", "bold"),
    ],
)
def test_a_colour_by_number_takes_its_parameters_along(codes: str, names: str) -> None:
    text, runs = clean_output(f"\x1b[{codes}mx")
    assert (text, [run[2] for run in runs]) == ("x", [names] if names else [])


@pytest.mark.parametrize("shape", ["\x1b[31m{}", "{}\x1b[0m", "\x1b[1mab\x1b[0m" * 9 + "{}"])
def test_output_is_cut_like_any_text_and_its_runs_stay_within(shape: str) -> None:
    text, runs = clean_output(shape.format("y" * 99), 20)
    assert len(text) == 20 and text.endswith("…")
    assert all(0 <= one < end <= 20 for one, end, _ in runs)


def test_without_its_colours_a_text_keeps_its_other_controls() -> None:
    assert uncoloured("\x1b[1;31mred\x1b[0m\x1b[2J\x07") == "red\x1b[2J\x07"


@given(st.text())
def test_clean_text_stays_as_it_is_when_cleaned_again(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "a/b", "../x", "a..b", "-a", "con", "NUL.txt", "a" * 129, "a\n", "é", "a b"]
)
def test_ids_that_could_leave_the_directory_or_name_a_device_are_refused(bad: str) -> None:
    assert session_id_problem(bad) is not None


@given(st.text(max_size=200))
def test_generated_ids_are_valid_and_sort_by_time(hint: str) -> None:
    early = new_session_id(hint, datetime(2026, 11, 22, 14, 25, 30, tzinfo=UTC))
    late = new_session_id(hint, datetime(2026, 11, 22, 14, 25, 31, tzinfo=UTC))
    assert session_id_problem(early) is None
    assert early < late


def test_numbers_for_people() -> None:
    assert [format_duration(s) for s in (None, 9, 252, 11_100, 187_200)] == [
        "–",
        "9s",
        "4m12s",
        "3h05m",
        "2d4h",
    ]
    assert [format_bytes(n) for n in (None, 812, 4_100, 12_000_000)] == ["–", "812 B", "4.1 kB", "12 MB"]
    assert [format_dollars(n) for n in (0, 2.5, 0.01, 0.0006)] == ["$0.00", "$2.50", "$0.01", "$0.0006"]
    assert format_dollars(0.00096) == "$0.0010", "what is rounded keeps its places"


def test_what_goes_into_a_field_keeps_letters_and_lines_and_loses_what_no_key_types() -> None:
    assert typable("a\tb\r\nשלום 名前 é \U0001f680\rz") == "a\tb\nשלום 名前 é \U0001f680\nz"
    assert typable("x\x1b]52;c;aGk=\x07\x9b31m\u202ey\u200b\x00\ud800\u2066") == "x]52;c;aGk=31my"
