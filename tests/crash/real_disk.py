"""Makes real file systems on a recorded disk, and mounts what a power loss leaves of it."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.crash.block_log import copy_sparse

WAIT_SECONDS = 20.0
_NEW_MOUNTS = 0x00020000
_CHECKOUT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class FileSystem:
    """How one is made and mounted."""

    name: str
    kind: str
    megabytes: int
    mkfs: tuple[str, ...]
    options: str = "defaults"


FILE_SYSTEMS = (
    FileSystem("ext4", "ext4", 64, ("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard")),
    FileSystem(
        "ext4-writeback",
        "ext4",
        64,
        ("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard"),
        "data=writeback",
    ),
    FileSystem("xfs", "xfs", 300, ("mkfs.xfs", "-q", "-f", "-K")),
    FileSystem("btrfs", "btrfs", 128, ("mkfs.btrfs", "-q", "-f", "-K")),
)


class Refused(Exception):
    """The kernel does not mount what is left of a disk; its words."""


def missing(kinds: tuple[FileSystem, ...]) -> list[str]:
    """What this machine has not got of what is needed here."""
    programs = ["mount", "umount", "losetup", "setpriv", *dict.fromkeys(one.mkfs[0] for one in kinds)]
    lacking = [] if os.geteuid() == 0 else ["root"]
    lacking += [name for name in ("/dev/fuse", "/dev/loop-control") if not os.path.exists(name)]
    lacking += [name for name in programs if shutil.which(name) is None]
    lacking += [] if find_spec("mfusepy") else ["mfusepy (pip install -e '.[disks]')"]
    known = Path("/proc/filesystems").read_text().split() if os.path.exists("/proc/filesystems") else []
    lacking += [f"{kind} in the kernel" for kind in dict.fromkeys(k.kind for k in kinds) if kind not in known]
    return lacking


def mount_for_ourselves() -> None:
    """From here on no other process sees our mounts, and the kernel undoes them when we die, however we die."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "no mounts of our own")
    _do("mount", "--make-rprivate", "/")


def make_image(system: FileSystem, image: Path) -> None:
    """An empty file system in a sparse file."""
    full = image.with_suffix(".full")
    with full.open("wb") as file:
        file.truncate(system.megabytes << 20)
    _do(*system.mkfs, str(full))
    _do("cp", "--sparse=always", str(full), str(image))
    full.unlink()


@contextmanager
def mounted(system: FileSystem, image: Path, place: Path) -> Iterator[None]:
    """The image at `place`; its loop device goes with it. Raises `Refused`."""
    if system.kind == "btrfs":
        # It remembers a newer state of the same disk, and would refuse the older one.
        subprocess.run(["btrfs", "device", "scan", "--forget"], capture_output=True, check=False)
    words = ["mount", "-t", system.kind, "-o", f"loop,{system.options}", str(image), str(place)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stderr.strip())
        yield
    finally:
        # Also when a signal came while it was being mounted.
        if os.path.ismount(place):
            _do("umount", str(place))


class Notes:
    """Writes notes into the disk's log, from any thread and any process."""

    def __init__(self, mark: Path) -> None:
        self._mark, self._lock = mark, threading.Lock()

    def tell(self, fact: object) -> None:
        """Note it; when this returns it stands in the log."""
        data = pickle.dumps(fact)
        with self._lock:
            fd = os.open(self._mark, os.O_WRONLY)
            try:
                at = 0
                while at < len(data):
                    at += os.pwrite(fd, data[at:], at)
            finally:
                os.close(fd)


@contextmanager
def recorded(system: FileSystem, empty: Path, work: Path, place: Path) -> Iterator[Notes]:
    """A disk whose every write and flush goes to `work/log`, with the file system at `place`.

    It begins as `empty`, of which `work/begin` is a copy.
    """
    fuse, image = work / "fuse", work / "image"
    fuse.mkdir(exist_ok=True)
    for path in (image, work / "begin"):
        copy_sparse(empty, path)
    (work / "log").unlink(missing_ok=True)
    with ExitStack() as stack:
        # It must not outlive us: it would keep our mounts.
        words = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "tests.crash.block_recorder"]
        served = subprocess.Popen([*words, str(fuse), str(image), str(work / "log")], cwd=_CHECKOUT)
        stack.callback(_end, served)
        _wait_for(fuse / "disk", served)
        stack.callback(_do, "umount", str(fuse))
        stack.enter_context(mounted(system, fuse / "disk", place))
        yield Notes(fuse / "mark")


def _wait_for(path: Path, served: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        if served.poll() is not None or time.monotonic() > deadline:
            raise OSError("the recorder does not serve its disk")
        time.sleep(0.005)


def _end(served: subprocess.Popen[bytes]) -> None:
    try:
        code = served.wait(WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        served.kill()
        served.wait()
        raise
    if code:
        raise OSError(f"the recorder ended with {code}")


def safe_now(place: Path) -> None:
    """Everything on this file system is on its disk."""
    _do("sync", "-f", str(place))


@contextmanager
def written_back(place: Path) -> Iterator[None]:
    """Within, the kernel is made to write back at every moment what nobody has synced, as it does after seconds."""
    libc, done = ctypes.CDLL(None), threading.Event()
    fd = os.open(place, os.O_RDONLY)

    def write_back() -> None:
        while not done.is_set():
            libc.syncfs(fd)

    thread = threading.Thread(target=write_back)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        os.close(fd)


def _do(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
