"""Reads the head of an artifact for showing: never through a link, never more than a bounded part, never raw."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from maestro_tui.console.lines import Line, line
from maestro_tui.model.text import clean, clean_lines, format_bytes

HEAD_BYTES = 262_144
HASHED_BYTES = 16_777_216
TEXT_LINES = 4_000
HEX_ROWS = 64

Kind = Literal["markdown", "json", "code", "text", "image", "binary", "none"]

_MARKDOWN = frozenset([".md", ".markdown", ".rst"])
_IMAGES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file holds, as far as it is shown. All texts are clean."""

    kind: Kind
    facts: str
    """Size, kind and whether it is still what the phase left, in one line."""
    text: str = ""
    """For the kinds made of text."""
    rows: tuple[Line, ...] = ()
    """For images and binary files."""


def read_preview(workspace: str | None, path: str, size: int, sha256: str, change: str) -> Preview:
    """The preview of an artifact; its reason in `facts` when there is nothing to show. For a thread."""
    if change == "deleted":
        return Preview("none", "deleted by the phase; it was there before")
    if workspace is None:
        return Preview("none", "the session has no workspace here")
    try:
        descriptor = open_inside(Path(workspace), path)
    except OSError as error:
        return Preview("none", _reason(error))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Preview("none", "not a regular file; it is not opened")
        head = os.pread(descriptor, HEAD_BYTES, 0)
        facts = _facts(descriptor, status.st_size, size, sha256)
    except OSError as error:
        return Preview("none", _reason(error))
    finally:
        os.close(descriptor)
    return _preview(head, status.st_size, path, facts)


def file_mark(workspace: str | None, path: str) -> tuple[int, int, int] | None:
    """Size in bytes, moment of the last change and inode of a workspace's file, to see that it was changed; None
    for what is no regular file within the workspace."""
    if workspace is None:
        return None
    try:
        descriptor = open_inside(Path(workspace), path)
    except (OSError, ValueError):
        return None
    try:
        facts = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino) if stat.S_ISREG(facts.st_mode) else None


def open_inside(folder: Path, relative: str) -> int:
    """A descriptor of a file below a folder; every step refuses links, so nothing outside is reached."""
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\0" in relative:
        raise OSError(errno.EPERM, "outside the workspace; it is not shown")
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a symbolic link; it is not followed"
    if error.errno == errno.ENOENT:
        return "no longer there: it was removed or renamed after the phase"
    return clean(error.strerror or str(error), 200)


def _facts(descriptor: int, size: int, recorded: int, sha256: str) -> str:
    words = [format_bytes(size)]
    if size != recorded:
        words.append(f"changed since: {format_bytes(recorded)} when the phase ended")
    elif sha256 and size <= HASHED_BYTES:
        same = _sha256(descriptor, size) == sha256
        words.append("as the phase left it" if same else "changed since the phase ended")
    if size > HEAD_BYTES:
        words.append(f"the first {format_bytes(HEAD_BYTES)} are shown")
    return " · ".join(words)


def _sha256(descriptor: int, size: int) -> str:
    digest, at = hashlib.sha256(), 0
    while at < size:
        data = os.pread(descriptor, min(1_048_576, size - at), at)
        if not data:
            break
        digest.update(data)
        at += len(data)
    return digest.hexdigest()


def _preview(head: bytes, size: int, path: str, facts: str) -> Preview:
    image = next((name for magic, name in _IMAGES.items() if head.startswith(magic)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        image = "WebP"
    if image is not None:
        rows = (
            line("image", (f"{image} image", "bold"), f"  {_dimensions(image, head)}"),
            *_hex_rows(head[:64]),
        )
        return Preview("image", facts, rows=rows)
    if is_binary(head):
        return Preview("binary", facts, rows=tuple(_hex_rows(head[: HEX_ROWS * 16])))
    raw = head.decode("utf-8-sig", "replace")
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".json" and size <= HEAD_BYTES:
        try:
            pretty = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
        except (ValueError, RecursionError):
            facts += " · not valid JSON"
        else:
            return Preview("json", facts, clean_lines(pretty, lines=TEXT_LINES))
    text = clean_lines(raw.replace("\r\n", "\n"), lines=TEXT_LINES)
    if suffix in _MARKDOWN:
        return Preview("markdown", facts, text)
    kind: Kind = "code" if suffix and suffix not in (".txt", ".log", ".csv") else "text"
    return Preview(kind, facts, text)


def is_binary(head: bytes) -> bool:
    if b"\0" in head:
        return True
    sample = head[:8192]
    odd = sum(1 for byte in sample if byte < 9 or 13 < byte < 32)
    if odd > len(sample) // 10:
        return True
    return sample.decode("utf-8", "replace").count("�") > len(sample) // 10


def _hex_rows(data: bytes) -> list[Line]:
    rows = []
    for start in range(0, len(data), 16):
        piece = data[start : start + 16]
        codes = f"{piece[:8].hex(' ')}  {piece[8:].hex(' ')}"
        letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in piece)
        rows.append(line(("hex", start), (f"{start:06x}  ", "muted"), f"{codes:<49} ", (letters, "muted")))
    return rows


def _dimensions(image: str, head: bytes) -> str:
    try:
        if image == "PNG":
            width, height = struct.unpack(">II", head[16:24])
        elif image == "GIF":
            width, height = struct.unpack("<HH", head[6:10])
        elif image == "BMP":
            width, height = struct.unpack("<ii", head[18:26])
        elif image == "JPEG":
            width, height = _jpeg_size(head)
        else:
            return "size not read"
    except (struct.error, IndexError):
        return "size not read: its head is damaged"
    return f"{width} × {abs(height)} pixels"


def _jpeg_size(head: bytes) -> tuple[int, int]:
    at = 2
    while head[at] == 0xFF:
        marker, length = head[at + 1], struct.unpack(">H", head[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + max(2, length)
    raise IndexError("no size in this head")
