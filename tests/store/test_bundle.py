"""A bundle holds a session whole, shows every change of it, and comes in all at once or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from maestro_tui.model.context import Artifact
from maestro_tui.model.errors import DamagedFile, InputError, StoreError
from maestro_tui.store import bundle, durable, unbundle
from maestro_tui.store.bundle import write_bundle
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.index import read_all
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from maestro_tui.store.locks import FileLock
from maestro_tui.store.questions import ask_question
from maestro_tui.store.unbundle import is_bundle, unpack_bundle, verify_bundle
from maestro_tui.store.workspace import Workspace
from maestro_tui.store.workspace_git import TreeStore
from tests.store.small_sessions import commit, context, session


def made(tmp_path: Path) -> CheckpointStore:
    """A session with everything that a bundle holds."""
    store = CheckpointStore(tmp_path / "root")
    workspace = tmp_path / "shop"
    workspace.mkdir()
    (workspace / "made.md").write_text("# made\n")
    (workspace / "other.md").write_text("# other\n")
    store.create(context(workspace=str(workspace)))
    folder = store.session_dir("s1")
    kept = Workspace(folder, workspace)
    kept.keep(kept.snapshot("requirements/1/after"))
    artifacts = tuple(
        Artifact(path=name, size=7, sha256=digest, phase="requirements")
        for name, digest in (
            ("made.md", sha256(b"# made\n").hexdigest()),
            ("other.md", "0" * 64),
            ("../root", "1" * 64),
        )
    )
    with hold_session(folder) as hold:
        commit(store, hold, "requirements", said="requirements")
        store.commit(
            "s1",
            "requirements",
            1,
            lambda head: (
                head.context.with_result(
                    "requirements",
                    head.context.phase_results["requirements"].model_copy(update={"artifacts": artifacts}),
                ),
                None,
            ),
            hold,
        )
    journal = Journal(folder / "journal.jsonl", "s1")
    journal.append("session_started", data={"workflow": "three"})
    journal.close()
    ask_question(
        folder,
        phase="requirements",
        attempt=1,
        persona="worker",
        text="Which?",
        options=("a", "b"),
        default="a",
        asked_at=1.0,
        expires_at=None,
        runner="r",
    )
    (folder / "logs" / "requirements.1.log").write_bytes(b"line\n")
    (folder / "logs" / "a strange name.log").write_bytes(b"line\n")
    return store


def bytes_of(folder: Path) -> dict[str, bytes]:
    """What of a session is the same wherever it lies."""
    names = ("history", "logs", "questions", "journal.jsonl")
    paths = [
        path for name in names for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_a_session_comes_in_as_it_went_out(tmp_path: Path) -> None:
    store = made(tmp_path)
    manifest = write_bundle(store, "s1", tmp_path / "x.bundle")
    assert manifest.left_out[:2] == (
        "artifact other.md: it is not there as it was recorded",
        "artifact ../root: it is not there as it was recorded",
    )
    other = CheckpointStore(tmp_path / "elsewhere")
    assert unpack_bundle(other, tmp_path / "x.bundle") == manifest
    assert other.verify("s1") == [] and other.head("s1") == store.head("s1")
    there = bytes_of(other.session_dir("s1"))
    there["logs/a strange name.log"] = b"line\n"
    assert there == bytes_of(store.session_dir("s1"))
    digest = sha256(b"# made\n").hexdigest()
    assert (other.session_dir("s1") / "artifacts" / digest).read_bytes() == b"# made\n"


def test_equal_sessions_are_equal_bytes(tmp_path: Path) -> None:
    store = made(tmp_path)
    write_bundle(store, "s1", tmp_path / "one.bundle")
    write_bundle(store, "s1", tmp_path / "two.bundle")
    assert (tmp_path / "one.bundle").read_bytes() == (tmp_path / "two.bundle").read_bytes()


def test_any_program_for_tar_can_open_it(tmp_path: Path) -> None:
    write_bundle(made(tmp_path), "s1", tmp_path / "x.bundle")
    with tarfile.open(tmp_path / "x.bundle") as tar:
        names = tar.getnames()
    assert names[:3] == ["manifest.json", "journal.jsonl", "logs/requirements.1.log"]


def test_the_trees_of_the_workspace_come_along_and_no_settings(tmp_path: Path) -> None:
    store = made(tmp_path)
    (store.session_dir("s1") / "workspace.git" / "config").write_text(
        "[core]\n\tfsmonitor = touch /tmp/evil\n"
    )
    write_bundle(store, "s1", tmp_path / "x.bundle")
    other = CheckpointStore(tmp_path / "elsewhere")
    unpack_bundle(other, tmp_path / "x.bundle")
    repository = other.session_dir("s1") / "workspace.git"
    old = store.session_dir("s1") / "workspace.git"
    ref = Path("refs") / "maestro" / "requirements" / "1" / "after"
    assert (repository / ref).read_text() == (old / ref).read_text()
    assert sorted(os.listdir(repository / "objects" / "pack")) == sorted(os.listdir(old / "objects" / "pack"))
    assert "fsmonitor" not in (repository / "config").read_text()
    assert TreeStore(repository).is_complete()


def test_a_damaged_session_is_not_packed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    folder = session(store, "requirements")
    (folder / "history" / "0001.json").write_bytes(b"x")
    with pytest.raises(InputError, match=r"Session s1 is damaged \(.*0001\.json"):
        write_bundle(store, "s1", tmp_path / "x.bundle")
    assert not (tmp_path / "x.bundle").exists()


def test_a_session_that_went_on_after_damage_is_packed_with_word_of_it(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    folder = session(store, "requirements")
    spoilt = folder / "history" / "0001.json"
    (folder / "checkpoint_requirements.json").unlink()
    spoilt.write_bytes(spoilt.read_bytes()[:-9] + b"damaged!\n")
    (folder / "journal.jsonl").write_bytes(b"what?\n")
    with hold_session(folder) as hold:
        commit(store, hold, "requirements", attempt=2)
    manifest = write_bundle(store, "s1", tmp_path / "x.bundle")
    assert [line.split(":")[0] for line in manifest.left_out] == ["history/0001.json", "journal.jsonl"]
    other = CheckpointStore(tmp_path / "elsewhere")
    unpack_bundle(other, tmp_path / "x.bundle")
    assert other.head("s1") == store.head("s1")
    assert (other.session_dir("s1") / "history" / "0001.json").read_bytes() == spoilt.read_bytes()
    assert verify_bundle(tmp_path / "x.bundle") == list(manifest.left_out)


def test_a_damaged_commit_that_cannot_be_read_is_left_out_with_word_of_it(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    folder = session(store, "requirements")
    (folder / "checkpoint_requirements.json").unlink()
    (folder / "history" / "0001.json").unlink()
    (folder / "history" / "0001.json").mkdir()
    with hold_session(folder) as hold:
        sha256 = commit(store, hold, "requirements", attempt=2).sha256
    journal = Journal(folder / "journal.jsonl", "s1")
    journal.append("phase_committed", phase="requirements", data={"seq": 1, "sha256": sha256})
    journal.close()
    manifest = write_bundle(store, "s1", tmp_path / "x.bundle")
    assert "history/0001.json cannot be read: it is a folder" in manifest.left_out[0]
    other = CheckpointStore(tmp_path / "elsewhere")
    unpack_bundle(other, tmp_path / "x.bundle")
    assert "it is missing" in other.verify("s1")[0] and other.head("s1").seq == 2


def test_damage_of_kept_trees_is_told_and_damage_that_is_not_told_is_refused(tmp_path: Path) -> None:
    store = made(tmp_path)
    pack = next((store.session_dir("s1") / "workspace.git" / "objects" / "pack").glob("*.pack"))
    pack.write_bytes(pack.read_bytes() + b"x")
    left_out = write_bundle(store, "s1", tmp_path / "x.bundle").left_out
    assert f"workspace.git/{pack.name}: its checksum does not match" in left_out[0]
    other = CheckpointStore(tmp_path / "elsewhere")
    unpack_bundle(other, tmp_path / "x.bundle")
    assert verify_bundle(tmp_path / "x.bundle") == [left_out[0]]


def test_a_session_that_goes_on_while_it_is_packed_is_packed_as_it_was(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    folder = session(store, "requirements")
    real = bundle._digest

    with hold_session(folder) as hold:

        def digest(path: Path, size: int) -> str:
            commit(store, hold, "design")
            return real(path, size)

        with mock.patch.object(bundle, "_digest", digest):
            manifest = write_bundle(store, "s1", tmp_path / "x.bundle")
    assert (manifest.seq, store.head("s1").seq > 1) == (1, True)
    assert verify_bundle(tmp_path / "x.bundle") == []


def test_a_torn_last_line_of_the_journal_is_not_packed(tmp_path: Path) -> None:
    store = made(tmp_path)
    path = store.session_dir("s1") / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"half')
    write_bundle(store, "s1", tmp_path / "x.bundle")
    other = CheckpointStore(tmp_path / "elsewhere")
    unpack_bundle(other, tmp_path / "x.bundle")
    assert (other.session_dir("s1") / "journal.jsonl").read_bytes() == whole


def test_an_id_that_is_taken_is_refused_and_another_name_begins_anew(tmp_path: Path) -> None:
    store = made(tmp_path)
    write_bundle(store, "s1", tmp_path / "x.bundle")
    before = bytes_of(store.session_dir("s1"))
    with pytest.raises(InputError, match=r"Session 's1' exists already .*--as"):
        unpack_bundle(store, tmp_path / "x.bundle")
    unpack_bundle(store, tmp_path / "x.bundle", "s2")
    assert bytes_of(store.session_dir("s1")) == before
    head, old = store.head("s2"), store.head("s1")
    assert store.verify("s2") == []
    assert head.context.phase_results == old.context.phase_results
    assert head.context.lineage is not None
    assert (head.context.lineage.session_id, head.context.lineage.seq) == ("s1", old.seq)
    assert head.context.lineage.sha256 == old.sha256 and head.context.lineage.how == "import"
    assert (store.session_dir("s2") / "logs" / "requirements.1.log").read_bytes() == b"line\n"
    with pytest.raises(InputError, match="is no session id"):
        unpack_bundle(store, tmp_path / "x.bundle", "../s3")


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "x.bundle").write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already"):
        write_bundle(made(tmp_path), "s1", tmp_path / "x.bundle")
    assert (tmp_path / "x.bundle").read_bytes() == b"mine"
    assert [name for name in os.listdir(tmp_path) if name.startswith(".")] == []


# ── Bundles that are not what was written ─────────────────────────────────────────────────────────────────


def test_every_changed_byte_is_seen_and_nothing_is_imported(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    data = (tmp_path / "x.bundle").read_bytes()
    other = CheckpointStore(tmp_path / "elsewhere")
    ends = len(data) - 1024
    padding = [at for at in range(0, ends, 211) if data[at] == 0]
    for at in {*range(600, ends, 701), *padding[::9]}:
        spoilt = bytearray(data)
        spoilt[at] ^= 0x10
        (tmp_path / "y.bundle").write_bytes(spoilt)
        try:
            unpack_bundle(other, tmp_path / "y.bundle")
        except (DamagedFile, InputError):
            assert os.listdir(other.root) == [], at
        else:
            # A header's own unused bytes are covered by its sum; what is left are times and owners of no meaning.
            raise AssertionError(f"byte {at} of {len(data)} was changed and not seen")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_bundle_that_breaks_off_is_refused(tmp_path: Path, part: float) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    data = (tmp_path / "x.bundle").read_bytes()
    (tmp_path / "y.bundle").write_bytes(data[: int(len(data) * part) or 100])
    other = CheckpointStore(tmp_path / "elsewhere")
    with pytest.raises(DamagedFile):
        unpack_bundle(other, tmp_path / "y.bundle")
    assert os.listdir(other.root) == [] and read_all(other.root, 0.0) == []


def hostile(
    tmp_path: Path, change: Callable[[dict[str, Any], list[tuple[tarfile.TarInfo, bytes]]], None]
) -> Path:
    """A bundle whose manifest and members were changed to fit each other."""
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    members: list[tuple[tarfile.TarInfo, bytes]] = []
    with tarfile.open(tmp_path / "x.bundle") as tar:
        for info in tar:
            stream = tar.extractfile(info)
            members.append((info, stream.read() if stream is not None else b""))
    manifest = json.loads(members[0][1])
    change(manifest, members)
    raw = json.dumps(manifest).encode()
    members[0][0].size = len(raw)
    members[0] = (members[0][0], raw)
    path = tmp_path / "hostile.bundle"
    with path.open("wb") as stream:
        for info, data in members:
            stream.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE))
        # Not as tarfile ends a file: what is longer is refused for that alone.
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
    return path


def test_a_bundle_that_is_put_together_anew_and_not_changed_is_imported(tmp_path: Path) -> None:
    path = hostile(tmp_path, lambda manifest, members: None)
    unpack_bundle(CheckpointStore(tmp_path / "elsewhere"), path)


def add(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", listed: bool = True) -> Any:
    """Put one more member in, and into the manifest as well."""

    def change(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        data = b"" if kind != tarfile.REGTYPE else b"evil"
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, len(data)
        members.append((info, data))
        if listed:
            entry = {"name": name, "size": len(data), "sha256": sha256(data).hexdigest()}
            manifest["files"].append(entry)

    return change


def renamed(manifest: dict[str, Any], _: Any) -> None:
    manifest["session_id"] = "../../elsewhere"


def of_another_session(manifest: dict[str, Any], _: Any) -> None:
    manifest["session_id"] = "other"


def huge(manifest: dict[str, Any], _: Any) -> None:
    manifest["files"][0]["size"] = 10**15


def twice(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    manifest["files"].append(manifest["files"][-1])
    members.append(members[-1])


def another_content(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    add(f"artifacts/{'0' * 64}")(manifest, members)


def no_pack(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    for ending in ("pack", "idx"):
        add(f"workspace.git/objects/pack/pack-{'0' * 40}.{ending}")(manifest, members)


def damage_told_elsewhere(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    no_pack(manifest, members)
    manifest["left_out"] = ["history/0000.json: something", "artifact made.md: it is not there"]


def a_newest_that_is_damaged(manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    add("history/0009.json")(manifest, members)
    manifest["left_out"] = ["history/0009.json: told, and still no commit to begin from"]


def another_head(manifest: dict[str, Any], _: Any) -> None:
    manifest["head"]["seq"] = 0


def no_format(manifest: dict[str, Any], _: Any) -> None:
    manifest["format"] = "maestro-bundle/9"


HOSTILE = {
    "a name that leads out": add("../../evil"),
    "an absolute name": add("/tmp/evil"),
    "a name of ours that leads out": add("logs/../../evil.1.log"),
    "a lock": add("locks/session"),
    "a git hook": add("workspace.git/hooks/post-checkout"),
    "a symbolic link": add("logs/evil.1.log", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": add("logs/evil.1.log", tarfile.LNKTYPE, "journal.jsonl"),
    "a device": add("logs/evil.1.log", tarfile.CHRTYPE),
    "a sparse file": add("logs/evil.1.log", tarfile.GNUTYPE_SPARSE),
    "a file beyond the manifest": add("logs/evil.1.log", listed=False),
    "an id that leads out": renamed,
    "the id of another session": of_another_session,
    "a size that it does not have": huge,
    "a file twice": twice,
    "another newest commit": another_head,
    "an artifact of another name": another_content,
    "a pack that is none": no_pack,
    "a name of a tree that is none": add("workspace.git/refs/maestro/z/1/after"),
    "damage that it does not tell": damage_told_elsewhere,
    "a newest commit that is damaged": a_newest_that_is_damaged,
    "a format of the future": no_format,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_bundle_leaves_nothing_behind(tmp_path: Path, what: str) -> None:
    path = hostile(tmp_path, HOSTILE[what])
    other = CheckpointStore(tmp_path / "kept" / "elsewhere")
    with pytest.raises(DamagedFile) as caught:
        unpack_bundle(other, path)
    assert "\n" not in str(caught.value) and "Nothing was imported" in str(caught.value)
    assert os.listdir(other.root) == []
    assert os.listdir(tmp_path / "kept") == ["elsewhere"] and not (tmp_path / "evil").exists()
    assert verify_bundle(path) != []


def test_a_bundle_is_told_from_other_files(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store)
    write_bundle(store, "s1", tmp_path / "x.bundle")
    (tmp_path / "y.bundle").write_bytes(b"no")
    assert is_bundle(tmp_path / "x.bundle") and verify_bundle(tmp_path / "x.bundle") == []
    assert not is_bundle(tmp_path / "y.bundle") and not is_bundle(tmp_path) and not is_bundle(tmp_path / "z")


def test_a_bundle_is_checked_in_a_folder_for_its_owner_alone_under_any_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store)
    write_bundle(store, "s1", tmp_path / "x.bundle")
    modes = []

    def unpack(aside: CheckpointStore, path: Path) -> None:
        modes.append(aside.root.stat().st_mode & 0o777)
        raise DamagedFile("enough")

    monkeypatch.setattr(unbundle, "unpack_bundle", unpack)
    for umask in (0o000, 0o777):
        before = os.umask(umask)
        try:
            assert verify_bundle(tmp_path / "x.bundle") == ["enough"]
        finally:
            os.umask(before)
    assert modes == [0o700, 0o700]


def test_an_import_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements", "design")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    other = CheckpointStore(tmp_path / "elsewhere")
    seen: list[tuple[list[str], bool]] = []
    real = durable.write_new

    def write_new(path: Path, data: Any) -> None:
        seen.append((other.session_ids(), bool(read_all(other.root, 0.0))))
        real(path, data)

    with mock.patch.object(durable, "write_new", write_new):
        unpack_bundle(other, tmp_path / "x.bundle")
    assert len(seen) == 4 and set(map(str, seen)) == {"([], False)"}
    assert other.session_ids() == ["s1"] and os.listdir(other.root) == ["s1"]


def test_a_full_disk_leaves_nothing_and_what_a_dead_import_left_is_swept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    other = CheckpointStore(tmp_path / "elsewhere")
    (other.root / ".import-0123456789abcdef" / "s1").mkdir(parents=True)
    full = OSError(28, "No space left on device")
    with mock.patch.object(durable, "sync", side_effect=full), pytest.raises(StoreError, match="No space"):
        unpack_bundle(other, tmp_path / "x.bundle")
    assert os.listdir(other.root) == []


def test_imports_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    """A second import comes at the two moments at which it may take the first for a dead one."""
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    other = CheckpointStore(tmp_path / "elsewhere")
    real, numbers = FileLock.take, [2, 3]

    def take(self: FileLock, *, shared: bool = False) -> bool:
        if self.path.name == "lock" and numbers:
            with mock.patch.object(FileLock, "take", real):
                unpack_bundle(other, tmp_path / "x.bundle", f"s{numbers.pop()}")
        return real(self, shared=shared)

    with mock.patch.object(FileLock, "take", take):
        unpack_bundle(other, tmp_path / "x.bundle")
    assert {"s1", "s2", "s3"} <= set(other.session_ids())
    assert [name for name in os.listdir(other.root) if name.startswith(".")] == []


def test_an_import_that_goes_while_another_one_sweeps_is_no_problem(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "root")
    session(store, "requirements")
    write_bundle(store, "s1", tmp_path / "x.bundle")
    other = CheckpointStore(tmp_path / "elsewhere")
    (other.root / ".import-0").mkdir(parents=True)
    real = durable.names_in

    def names_in(folder: Path) -> list[str]:
        names = real(folder)
        if folder == other.root and (folder / ".import-0").exists():
            (folder / ".import-0").rmdir()
        return names

    with mock.patch.object(durable, "names_in", names_in):
        unpack_bundle(other, tmp_path / "x.bundle")
    assert other.session_ids() == ["s1"]


def test_nothing_stays_of_an_import_where_open_files_are_hidden_and_not_deleted(tmp_path: Path) -> None:
    store, other = made(tmp_path), CheckpointStore(tmp_path / "other")
    write_bundle(store, "s1", tmp_path / "s1.bundle")
    (other.root / ".import-0" / "s1").mkdir(parents=True)
    real, hidden = shutil.rmtree, []

    def rmtree(folder: Path, **named: Any) -> None:
        # As over FUSE and NFS: the folder of a deleted file that is open is not empty until that is closed.
        links = [fd.readlink() for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
        real(folder, **named)
        if any(link.is_relative_to(folder) for link in links):
            folder.mkdir()
            hidden.append(folder.name)

    with mock.patch.object(shutil, "rmtree", rmtree):
        unpack_bundle(other, tmp_path / "s1.bundle")
    assert len(hidden) == 2
    assert os.listdir(other.root) == ["s1"]
