"""Secrets never reach a file: known values in every form, tokens by their shape, across pieces of a line."""

from __future__ import annotations

import base64
import json
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
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_known_value_is_taken_out_in_each_of_its_forms(redactor: Redactor, form: str) -> None:
    told = redactor.text(f"before {form} after")
    assert "‹DB_PASSWORD›" in told
    assert form not in told
    assert told.startswith("before ")
    assert told.endswith(" after")


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
        start = time.process_time()
        for text in texts:
            redactor.text(text)
        return time.process_time() - start

    spent(1_000)
    small, large = spent(20_000), spent(160_000)
    # Eight times the length: quadratic time would be 64 times as much.
    assert large < 30 * max(small, 0.002)
