"""The user's settings: what is wrong is told in a sentence, what is right is used; what was remembered comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from maestro_tui.console.actions import ACTIONS
from maestro_tui.console.settings import Memory, Settings, load_settings
from maestro_tui.console.theme import THEME_NAMES
from maestro_tui.store.retention import Retention

KEYS = {action.id: action.key for action in ACTIONS}


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_settings(path, THEME_NAMES, KEYS)


def test_without_a_file_everything_is_as_it_is() -> None:
    assert load_settings(Path("/nowhere/config.toml"), THEME_NAMES, KEYS) == Settings()


def test_keys_theme_and_signs_are_the_users(tmp_path: Path) -> None:
    text = 'theme = "maestro-light"\nascii = true\nread_only = true\n[keys]\nresume = "ctrl+r"\nnew = ["+", "f2"]\n'
    settings = load(tmp_path, text)
    assert settings == Settings("maestro-light", True, True, {"resume": "ctrl+r", "new": "plus,f2"}, ())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[keys]\nresume = "ctrl+bogus"', "'ctrl+bogus' is no key for resume"),
        ('[keys]\nresum = "r"', 'there is no action "resum"; did you mean resume?'),
        ("[keys]\nresume = 7", "7 is no key for resume"),
        ("[keys]\nresume = []", "is no key for resume"),
        ('[keys]\nresume = "x"', "x is the key of both"),
        ('keys = "r"', "keys must be a table"),
        ('theme = "maestro-drak"', "did you mean maestro-dark?"),
        ("ascii = 1", "ascii must be true or false"),
        ("colour = 1", 'there is no setting "colour"'),
        ("[keys", "is not valid TOML"),
        ("retention = 5", "retention must be a table"),
        ("[retention]\nkeep = -1", "retention.keep must be a number"),
        ("[retention]\nkeep = true", "retention.keep must be a number"),
        ('[retention]\nolder_than = "soon"', "retention.older_than must be an age"),
        ("[retention]\nolder_than = 30", "retention.older_than must be an age"),
        ('[retention]\nkepe = 5\nolder_than = "1d"', 'retention has no setting "kepe"'),
    ],
)
def test_a_wrong_setting_is_told_and_the_standard_one_stays(tmp_path: Path, text: str, sentence: str) -> None:
    settings = load(tmp_path, text)
    assert any(sentence in problem for problem in settings.problems)
    assert all("config.toml" in problem for problem in settings.problems)
    assert "resume" not in settings.keys and settings.theme is None
    assert not settings.retention.says_something, "half a rule could remove too much"


def test_what_is_to_be_kept_is_the_users(tmp_path: Path) -> None:
    settings = load(tmp_path, '[retention]\nkeep = 50\nolder_than = "30d"\n')
    assert settings.retention == Retention(50, 30 * 86_400)
    assert settings.problems == ()


def test_what_was_remembered_comes_back_and_damage_is_a_first_start(tmp_path: Path) -> None:
    path = tmp_path / "state" / "console.json"
    assert Memory(path).put("sort", ["phase", True]) is None
    assert Memory(path).get("sort") == ["phase", True]
    path.write_text("{torn")
    assert Memory(path).get("sort") is None


def test_what_cannot_be_remembered_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    problem = Memory(tmp_path / "file" / "console.json").put("sort", ["phase", True])
    assert problem is not None and "could not be remembered" in problem
