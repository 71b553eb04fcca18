"""Previews: bounded, clean, and never through a link out of the workspace."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path

import pytest

from maestro_tui.console.highlight import preview_lines
from maestro_tui.console.preview import HEAD_BYTES, Preview, read_preview
from maestro_tui.console.record_lines import artifact_lines
from maestro_tui.model.context import Artifact
from tests.console.hostile import HOSTILE, NEVER_RAW


def preview(workspace: Path, path: str, data: bytes | None = None, change: str = "new") -> Preview:
    size, sha256 = 0, ""
    if data is not None:
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_bytes(data)
        size, sha256 = len(data), hashlib.sha256(data).hexdigest()
    return read_preview(str(workspace), path, size, sha256, change)


@pytest.mark.parametrize(
    ("name", "data", "kind", "words"),
    [
        ("a.md", b"# Title\n\n- one **bold** `code`\n", "markdown", "• one bold code"),
        ("a.py", b"def f():\n    return 1\n", "code", "def f():"),
        ("a.json", b'{"a":[1,2]}', "json", '"a": ['),
        ("a.json", b'{"a":', "code", '{"a":'),
        ("a.txt", b"plain\n", "text", "plain"),
        ("a.bin", bytes(range(256)) * 4, "binary", "00 01 02 03"),
        ("LICENSE", "schön\n".encode(), "text", "schön"),
        ("empty", b"", "text", ""),
    ],
)
def test_each_kind_of_file_has_its_preview(
    tmp_path: Path, name: str, data: bytes, kind: str, words: str
) -> None:
    found = preview(tmp_path, name, data)
    assert found.kind == kind
    assert "as the phase left it" in found.facts
    assert words in "\n".join(one.text for one in preview_lines(found, name, 80))


def test_an_image_is_told_by_its_size(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    found = preview(tmp_path, "x.png", b"\x89PNG\r\n\x1a\n" + chunk)
    assert found.kind == "image"
    assert "PNG image  640 × 480 pixels" in preview_lines(found, "x.png", 80)[0].text
    cut = preview(tmp_path, "y.png", b"\x89PNG\r\n\x1a\n")
    assert "its head is damaged" in preview_lines(cut, "y.png", 80)[0].text


def test_a_huge_file_shows_its_head_only(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as stream:
        stream.write(b"first line\n")
        stream.truncate(5_000_000_000)
    found = read_preview(str(tmp_path), "big.txt", 5_000_000_000, "0" * 64, "new")
    assert "5.0 GB" in found.facts and "262 kB are shown" in found.facts


def test_a_line_of_megabytes_is_cut(tmp_path: Path) -> None:
    found = preview(tmp_path, "x.js", b"x" * HEAD_BYTES)
    assert all(len(one.text) <= 4_000 for one in preview_lines(found, "x.js", 80))


@pytest.mark.parametrize(
    "path",
    ["link.txt", "folder/secret.txt", "../secret.txt", "/etc/passwd", "folder/../../secret.txt", "a\0b", ""],
)
def test_nothing_outside_the_workspace_is_ever_shown(tmp_path: Path, path: str) -> None:
    workspace, outside = tmp_path / "shop", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (workspace / "link.txt").symlink_to(outside / "secret.txt")
    (workspace / "folder").symlink_to(outside)
    found = read_preview(str(workspace), path, 6, "", "new")
    assert found.kind == "none" and not found.text and not found.rows
    assert "link" in found.facts or "outside the workspace" in found.facts


def test_a_pipe_is_not_opened_for_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert preview(tmp_path, "pipe").facts == "not a regular file; it is not opened"


def test_what_changed_or_went_since_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("new words")
    other = hashlib.sha256(b"old words").hexdigest()
    assert "changed since the phase ended" in read_preview(str(tmp_path), "a.txt", 9, other, "new").facts
    assert "changed since: 4 B" in read_preview(str(tmp_path), "a.txt", 4, other, "new").facts
    assert "no longer there" in preview(tmp_path, "gone.txt").facts
    assert "deleted by the phase" in preview(tmp_path, "gone.txt", change="deleted").facts
    assert "no workspace" in read_preview(None, "a.txt", 1, "", "new").facts


@pytest.mark.parametrize("name", ["x.md", "x.py", "x.json", "x.txt", "x"])
def test_hostile_content_is_clean_in_every_kind(tmp_path: Path, name: str) -> None:
    text = HOSTILE.replace("\ud800", "").replace("\0", "")
    found = preview(tmp_path, name, f'# {text}\n- {text}\n> {text}\n```\n{text}\n```\n"{text}"'.encode())
    shown = "".join(one.text for one in preview_lines(found, name, 60)) + found.facts
    assert shown and not NEVER_RAW & set(shown)


def test_files_stand_under_their_phase_with_what_is_missing() -> None:
    files = [
        Artifact(path=path, size=size, sha256="0", phase=phase, attempt=2)
        for path, size, phase in [
            ("z.md", 1200, "design"),
            ("a.md", 10, "design"),
            ("r.md", 5, "requirements"),
        ]
    ]
    texts = [one.text.split() for one in artifact_lines(files, {"testing": ("report.xml",)}, 60)]
    assert texts == [
        ["design", "#2", "2", "files,", "1.2", "kB"],
        ["a.md", "10", "B", "new"],
        ["z.md", "1.2", "kB", "new"],
        ["requirements", "#2", "1", "file,", "5", "B"],
        ["r.md", "5", "B", "new"],
        ["testing", "nothing", "delivered"],
        ["report.xml", "–", "missing"],
    ]
