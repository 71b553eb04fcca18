"""Records every change that real code makes below a folder, by standing before the system calls of `os`."""

from __future__ import annotations

import functools
import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.crash.disk import TOP, Cut, Disk, Enter, Leave, Move, Op, Sync, Told, Write

Key = tuple[int, int]
"""Device and inode."""


class Recording:
    """The disk before, and what was done since, in order. Safe to use while several threads write."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.ops: list[Op] = []
        self._lock = threading.RLock()
        self._numbers = itertools.count(TOP + 1)
        self._known: dict[Key, int] = {_key(os.stat(top)): TOP}
        self.base = Disk()
        self._read(top, TOP, self.base)

    def _read(self, folder: Path, number: int, disk: Disk) -> None:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            facts = entry.stat(follow_symlinks=False)
            key = _key(facts)
            node = self._known.get(key)
            if node is None:
                node = self._known[key] = next(self._numbers)
            disk.names(number)[entry.name] = node
            if stat.S_ISDIR(facts.st_mode):
                disk.nodes[node] = {}
                self._read(Path(entry.path), node, disk)
            elif node not in disk.nodes:
                disk.nodes[node] = Path(entry.path).read_bytes()

    def tell(self, fact: object) -> None:
        """Note that the code has promised something."""
        with self._lock:
            self.ops.append(Told(fact))

    def as_it_is(self) -> Disk:
        """The real folder now, to compare a replay with."""
        disk = Disk()
        self._read(self.top, TOP, disk)
        return disk

    # ── The calls ─────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def running(self) -> Iterator[Recording]:
        """Record until the end of the block."""
        real: dict[str, Any] = {}
        for name in ("open", "write", "fsync", "fdatasync", "link", "rename", "replace", "unlink", "remove"):
            real[name] = getattr(os, name)
        for name in ("mkdir", "rmdir", "ftruncate", "truncate", "sync", "symlink", "pwrite", "writev"):
            real[name] = getattr(os, name)
        try:
            for name, call in real.items():
                watcher = getattr(self, f"_{name}", self._unforeseen)
                setattr(os, name, functools.partial(self._locked, watcher, name, call))
            yield self
        finally:
            for name, call in real.items():
                setattr(os, name, call)

    def _locked(
        self, watcher: Callable[..., Any], name: str, call: Callable[..., Any], *words: Any, **named: Any
    ) -> Any:
        with self._lock:
            if watcher == self._unforeseen:
                return watcher(name, call, *words, **named)
            return watcher(call, *words, **named)

    def _unforeseen(self, name: str, call: Callable[..., Any], *words: Any, **named: Any) -> Any:
        done = call(*words, **named)
        if name in ("pwrite", "writev", "truncate") or (name == "symlink" and self._place(words[1], None)):
            raise AssertionError(f"os.{name} is not modelled; teach the recorder about it")
        return done

    def _open(self, call: Any, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        place = self._place(path, dir_fd) if flags & os.O_CREAT else None
        fresh = place is not None and not _is_there(path, dir_fd)
        fd: int = call(path, flags, mode, dir_fd=dir_fd)
        if fresh and place is not None:
            number = self._known[_key(os.fstat(fd))] = next(self._numbers)
            self.ops.append(Enter(*place, number))
        elif flags & os.O_TRUNC and (number_there := self._known.get(_key(os.fstat(fd)))) is not None:
            self.ops.append(Cut(number_there, 0))
        return fd

    def _write(self, call: Any, fd: int, data: Any) -> int:
        done: int = call(fd, data)
        number = self._of(fd)
        if number is not None and done:
            # With O_APPEND the place is known only afterwards.
            offset = os.lseek(fd, 0, os.SEEK_CUR) - done
            self.ops.append(Write(number, offset, bytes(memoryview(data)[:done])))
        return done

    def _ftruncate(self, call: Any, fd: int, size: int) -> None:
        call(fd, size)
        number = self._of(fd)
        if number is not None:
            self.ops.append(Cut(number, size))

    def _fsync(self, call: Any, fd: int) -> None:
        call(fd)
        number = self._of(fd)
        if number is not None:
            self.ops.append(Sync(number))

    _fdatasync = _fsync

    def _sync(self, call: Any) -> None:
        call()
        self.ops.extend(Sync(number) for number in sorted(set(self._known.values())))

    def _link(self, call: Any, source: Any, target: Any, **named: Any) -> None:
        call(source, target, **named)
        place = self._place(target, named.get("dst_dir_fd"))
        if place is not None:
            self.ops.append(Enter(*place, self._known[_key(os.lstat(target))]))

    def _rename(self, call: Any, source: Any, target: Any, **named: Any) -> None:
        before, after = self._place(source, None), self._place(target, None)
        number = self._known.get(_key(os.lstat(source))) if before is not None else None
        same = _is_there(target, None) and os.path.samestat(os.lstat(source), os.lstat(target))
        call(source, target, **named)
        if (before is None and after is None) or same:
            return
        if before is None or after is None or number is None:
            raise AssertionError("a file was moved over the border of the watched folder")
        if before[0] == after[0]:
            self.ops.append(Move(before[0], before[1], after[1], number))
        else:
            # Two folders are never made safe at one moment.
            self.ops += [Enter(*after, number), Leave(*before)]

    _replace = _rename

    def _unlink(self, call: Any, path: Any, *, dir_fd: int | None = None) -> None:
        place = self._place(path, dir_fd)
        call(path, dir_fd=dir_fd)
        if place is not None:
            self.ops.append(Leave(*place))

    _remove = _unlink
    _rmdir = _unlink

    def _mkdir(self, call: Any, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        call(path, mode, dir_fd=dir_fd)
        place = self._place(path, dir_fd)
        if place is not None:
            number = self._known[_key(os.stat(path, dir_fd=dir_fd))] = next(self._numbers)
            self.ops.append(Enter(*place, number, True))

    # ── Where ─────────────────────────────────────────────────────────────────────────────────────────────

    def _place(self, path: Any, dir_fd: int | None) -> tuple[int, str] | None:
        """The folder's number and the name, when the folder is a watched one."""
        if isinstance(path, int):
            return None
        text = os.fsdecode(path).rstrip("/")
        parent, name = os.path.split(text)
        try:
            facts = (
                os.fstat(dir_fd)
                if dir_fd is not None and not parent
                else os.stat(parent or ".", dir_fd=dir_fd)
            )
        except OSError:
            return None
        folder = self._known.get(_key(facts))
        return (folder, name) if folder is not None else None

    def _of(self, fd: int) -> int | None:
        facts = os.fstat(fd)
        if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
            return None
        return self._known.get(_key(facts))


def _key(facts: os.stat_result) -> Key:
    return facts.st_dev, facts.st_ino


def _is_there(path: Any, dir_fd: int | None) -> bool:
    try:
        os.lstat(path, dir_fd=dir_fd)
    except OSError:
        return False
    return True
