"""Secrets never reach a file: known values in every form, tokens by their shape, across pieces of a line."""

from __future__ import annotations

import base64
import html
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_tui.store.redaction import LineRedactor, Redactor

SECRET = 'p/ss"wörd+42 x'
ENVIRONMENT = {
    "DB_PASSWORD": SECRET,
    "EDITOR": "vim-is-my-editor",
    "MODE_KEY": "production",
    "PWD": "/home/ann/x1",
}


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(ENVIRONMENT)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").replace("%C3%B6", "%c3%b6").replace("%2B", "%2b").replace("%2F", "%2f"),
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        json.dumps(json.dumps({"deep": SECRET}))[14:-4],
    ],
)
def test_a_known_value_is_taken_out_in_each_of_its_forms(redactor: Redactor, form: str) -> None:
    told = redactor.text(f"before {form} after")
    assert "‹DB_PASSWORD›" in told
    assert form not in told
    assert told.startswith("before ")
    assert told.endswith(" after")


@pytest.mark.parametrize(
    "quoted", [repr, shlex.quote, html.escape, lambda value: "'" + value.replace("'", "'\\''") + "'"]
)
def test_a_known_value_is_taken_out_however_it_is_quoted(quoted: Callable[[str], str]) -> None:
    value = 'it\'s <one> & "other" \\ way'
    told = Redactor({"DB_PASSWORD": value}).text(f"X={quoted(value)}")
    assert told.replace("'", "") == "X=‹DB_PASSWORD›"


@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_value_in_base64_is_taken_out_of_each_line(width: int, end: bytes) -> None:
    secret = "".join(f"{number:03}-" for number in range(50))
    coded = base64.b64encode(secret.encode() + end).decode()
    printed = [coded[at : at + width] for at in range(0, len(coded), width)]
    lines = LineRedactor(Redactor({"SHOP_TOKEN": secret}), 1_000_000)
    told = [lines.feed(line) for line in printed]
    assert all(line is not None and line.startswith("‹SHOP_TOKEN›") and len(line) < 20 for line in told)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_a_value_within_base64_of_something_longer_is_taken_out(before: bytes, after: bytes) -> None:
    coded = base64.b64encode(before + SECRET.encode() + after).decode()
    assert "‹DB_PASSWORD›" in Redactor(ENVIRONMENT).text(coded)


def test_settings_and_folders_are_no_secrets(redactor: Redactor) -> None:
    assert (
        redactor.text("vim-is-my-editor in production at /home/ann/x1")
        == "vim-is-my-editor in production at /home/ann/x1"
    )


@pytest.mark.parametrize(
    "token",
    [
        "sk-ant-REDACTED-0123456789abcdefABCDEF",
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2c3" * 5,
        "AKIA" + "ABCDEFGH12345678",
        "sk_live_" + "a1B2" * 4,
        "gho_" + "a1B2" * 9,
        "ghu_" + "a1B2" * 9,
        "ghs_" + "a1B2" * 9,
        "ghr_" + "a1B2" * 9,
        "glpat-" + "a1B2" * 5,
        "ASIA" + "ABCDEFGH12345678",
        "pypi-AgE" + "a1B2" * 13,
        "hf_" + "a1B2" * 8,
        "rk-" + "a1B2" * 6,
        "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw",
        "xoxb-123456789012-abcdefghijkl",
        "npm_" + "a1B2" * 9,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXBhcnQ",
    ],
)
def test_a_token_is_known_by_its_shape(redactor: Redactor, token: str) -> None:
    assert token not in redactor.text(f"using {token}, done")
    assert token not in redactor.data([f"using {token}, done"])[0]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://ann:hunter2@db/x", "hunter2"),
        ("Authorization: Bearer c2VjcmV0c2VjcmV0c2VjcmV0", "c2VjcmV0c2VjcmV0"),
        ("AUTHORIZATION: BASIC c2VjcmV0c2VjcmV0c2VjcmV0", "c2VjcmV0c2VjcmV0"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXk= -----END OPENSSH PRIVATE KEY-----",
            "b3BlbnNz",
        ),
    ],
)
def test_passwords_in_addresses_headers_and_private_keys_are_taken_out(
    redactor: Redactor, text: str, secret: str
) -> None:
    assert secret not in redactor.text(text)
    assert secret not in redactor.data({"said": text})["said"]


KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDkf2FtSeCrEtLiNeFiRsTlYnOtAkEyBoDy00aaLine2AAAAJgAAAAAAAAA\n"
    "AAAEBm9uZQ\n"
    "-----END OPENSSH PRIVATE KEY-----"
)


@pytest.mark.parametrize("before", ["", "  ", "+", "12: ", "2026-11-26T15:56:01Z app[12]: "])
def test_a_private_key_that_is_printed_line_by_line_is_taken_out(redactor: Redactor, before: str) -> None:
    lines = LineRedactor(redactor, 1_000_000)
    told = [
        lines.feed(before + line) for line in ["the key:", *KEY.split("\n"), "done in AAAAAAAAAAAAAAAAAAAA"]
    ]
    assert told[0] == f"{before}the key:" and told[-1] == f"{before}done in AAAAAAAAAAAAAAAAAAAA"
    whole = "\n".join(filter(None, told))
    assert not [line for line in KEY.split("\n")[1:3] if line[-20:] in whole or line[:20] in whole]
    # A last line as short as this, behind words, could be one of them.
    assert ("AAAEBm9uZQ" in whole) == ("app" in before)


def test_a_beginning_of_a_private_key_without_an_end_hides_no_words_and_is_over_in_time(
    redactor: Redactor,
) -> None:
    lines = LineRedactor(redactor, 1_000_000)
    lines.feed('if "-----BEGIN PRIVATE KEY-----" in text:')
    code = [
        "    raise ValueError('a key in a text')",
        "    return",
        "class ASessionThatWasRead(Base):",
        "    pass",
    ]
    assert [lines.feed(line) for line in code] == code
    told = [lines.feed("A" * 64) for _ in range(197)]
    assert (told[0], told[-1]) == ("‹private key›", "A" * 64)


def test_each_line_of_a_secret_of_several_lines_is_taken_out() -> None:
    first, second, third = KEY.split("\n")[1:4]
    redactor = Redactor({"DEPLOY_KEY": KEY})
    assert redactor.text(f"{first}, {second[:-1]}") == f"‹DEPLOY_KEY›, {second[:-1]}"
    assert redactor.text(f"{second} {third}") == f"‹DEPLOY_KEY› {third}"
    assert Redactor({"CLUSTER_TOKEN": "x" * 9_000 + "\n" + first}).text(first) == "‹CLUSTER_TOKEN›"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("SMTP_PASS", "Tr0ub4dor&3x", "Tr0ub4dor&3x"),
        ("PASS", "Tr0ub4dor&3x", "Tr0ub4dor&3x"),
        ("DATABASE_URL", "postgres://ann:p%40ssW0rd99@db/x", "p@ssW0rd99"),
        ("DATABASE_URL", "postgres://ann:p%40ssW0rd99@db/x", "p%40ssW0rd99"),
        ("HTTPS_PROXY", "http://ann:Secr3tPw@proxy:3128", "Secr3tPw"),
    ],
)
def test_passwords_are_known_by_more_names_and_by_their_place_in_an_address(
    name: str, value: str, secret: str
) -> None:
    assert Redactor({name: value}).text(f"with {secret} in it") == f"with ‹{name}› in it"


def test_names_that_only_sound_like_it_are_no_secrets() -> None:
    facts = {"BYPASS_CACHE": "Always-1", "COMPASS": "North-West-1", "PROXY": "http://proxy:3128/a@b"}
    assert Redactor(facts).text(" ".join(facts.values())) == " ".join(facts.values())


@pytest.mark.parametrize("cut", [10, 9_500, 10_700])
def test_the_longest_form_of_the_longest_secret_is_seen_across_pieces(cut: int) -> None:
    secret = "Abc1/" + "Zx9" * 2_700
    coded = base64.b64encode(secret.encode()).decode()
    piece = 100_000
    lines = LineRedactor(Redactor({"API_TOKEN": secret}), piece)
    whole = "x " * ((piece - cut) // 2) + coded
    told = "".join(filter(None, [lines.feed(whole[:piece]), lines.feed(whole[piece:]), lines.rest()]))
    assert not any(coded[at : at + 40] in told for at in range(0, len(coded) - 40, 97))


def test_a_token_that_is_known_by_its_shape_is_not_half_left_on_a_border(redactor: Redactor) -> None:
    lines = LineRedactor(redactor, 50_000)
    token = "ghp_" + "a1B2" * 20
    told = [lines.feed("x " * 24_970 + token[:60]), lines.feed(token[60:] + " done"), lines.rest()]
    assert "".join(filter(None, told)).endswith("x ‹secret› done")


def test_data_is_redacted_throughout_keys_included(redactor: Redactor) -> None:
    told = redactor.data({"a": [1, {SECRET: (SECRET, None)}], "b": True})
    assert told == {"a": [1, {"‹DB_PASSWORD›": ["‹DB_PASSWORD›", None]}], "b": True}


@pytest.mark.parametrize("cut", range(0, len(SECRET) + 1, 3))
def test_no_secret_hides_on_the_border_between_pieces_of_a_line(redactor: Redactor, cut: int) -> None:
    piece = 50_000
    lines = LineRedactor(redactor, piece)
    head = "x" * (piece - len(SECRET.encode()[:cut]))
    whole = (head + SECRET + "y" * 10).encode()
    end = piece
    while (whole[end] & 0xC0) == 0x80:
        end -= 1
    parts = [whole[:end].decode(), whole[end:].decode()]
    told = "".join(filter(None, [*(lines.feed(part) for part in parts), lines.rest()]))
    assert SECRET not in told
    assert told.endswith("‹DB_PASSWORD›" + "y" * 10)


def test_the_time_is_linear_in_the_length_of_hostile_lines(redactor: Redactor) -> None:
    import time

    def spent(size: int) -> float:
        texts = [
            "sk-" * size,
            "eyJ" + "a" * size + ".",
            "a:" * size,
            "bearer " * size,
            "-----BEGIN " * size,
            "x://" * size,
        ]
        in_a_key = [f"{'+' * size} x", f"{'a' * size}= x", "a= " * size, "+a" * size]
        start = time.process_time()
        for text in texts:
            redactor.text(text)
        lines = LineRedactor(redactor, 10_000_000)
        for text in ["-----BEGIN PRIVATE KEY-----", *in_a_key]:
            lines.feed(text)
        return time.process_time() - start

    spent(1_000)
    small, large = spent(20_000), spent(160_000)
    # Eight times the length: quadratic time would be 64 times as much.
    assert large < 30 * max(small, 0.002)
