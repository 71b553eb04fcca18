"""What an attempt changed in a workspace is found, whatever the project or its git settings say."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import threading
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.store import durable, workspace_files, workspace_git
from maestro_tui.store import workspace as module
from maestro_tui.store.workspace import FileChange, Tree, Workspace
from maestro_tui.store.workspace_files import hash_regular


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "s-1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(session: Path, place: Path) -> Workspace:
    return Workspace(session, place, exclude=(session.parent,))


@pytest.fixture
def permissions_count(tmp_path: Path) -> None:
    """Skips where this process may read everything (root)."""
    locked = tmp_path / "locked"
    locked.touch(mode=0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything")


def put(folder: Path, path: str, content: str | bytes = "x") -> str:
    """Write a file; the SHA-256 of what was written."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def git(session: Path, *words: str) -> str:
    repository = session / "workspace.git"
    return subprocess.run(
        ["git", "-C", str(repository), "--git-dir", str(repository), *words],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def paths(tree: Tree) -> set[str]:
    return set(tree.files)


def test_new_changed_and_deleted_files_are_found_with_size_and_hash(
    workspace: Workspace, place: Path
) -> None:
    put(place, "same.txt")
    put(place, "src/changed.txt", "old")
    gone = put(place, "gone.txt", "bye")
    before = workspace.snapshot("build/1/before")
    changed = put(place, "src/changed.txt", "new!")
    (place / "gone.txt").unlink()
    new = put(place, "dist/a b.whl", b"\0\xff")
    after = workspace.snapshot("build/1/after")
    assert workspace.changes(before, after) == [
        FileChange("dist/a b.whl", "new", 2, new),
        FileChange("gone.txt", "deleted", 3, gone),
        FileChange("src/changed.txt", "changed", 4, changed),
    ]
    assert before.problems == after.problems == ()


def test_an_untouched_workspace_has_no_changes(workspace: Workspace, place: Path) -> None:
    put(place, "a.txt")
    before = workspace.snapshot("build/1/before")
    os.utime(place / "a.txt", (1, 1))
    assert workspace.changes(before, workspace.snapshot("build/1/after")) == []


def test_a_change_of_the_same_size_within_the_clocks_grain_is_found(
    workspace: Workspace, place: Path
) -> None:
    for number in range(20):
        put(place, "a.txt", f"{number:04d}")
        before = workspace.snapshot("build/1/before")
        put(place, "a.txt", f"{number + 1:04d}")
        after = workspace.snapshot("build/1/after")
        assert [change.change for change in workspace.changes(before, after)] == ["changed"]


def test_a_change_of_the_same_size_is_found_where_times_are_whole_seconds(
    workspace: Workspace, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = time.time_ns() // 1_000_000_000 * 1_000_000_000
    monkeypatch.setattr(workspace_files, "_touched", lambda _: second)
    monkeypatch.setattr(workspace_files, "_signature", lambda facts: (facts.st_size, second))
    put(place, "a.txt", "old")
    # Half a second after it was written, well beyond the grain of other file systems.
    monkeypatch.setattr(workspace_files, "time", SimpleNamespace(time_ns=lambda: second + 500_000_000))
    before = workspace.snapshot("build/1/before")
    put(place, "a.txt", "new")
    after = workspace.snapshot("build/1/after")
    assert [change.change for change in workspace.changes(before, after)] == ["changed"]


def test_what_gitignore_hides_still_counts(workspace: Workspace, place: Path, session: Path) -> None:
    put(place, ".gitignore", "dist/\n*.log\n")
    put(place, ".gitattributes", "*.txt text eol=crlf filter=evil ident\n")
    put(place, "dist/x.whl")
    put(place, "out.log")
    put(place, "a.txt", "one\ntwo $Id$\n")
    tree = workspace.snapshot("build/1/after")
    assert {"dist/x.whl", "out.log"} <= paths(tree)
    assert workspace.keep(tree) is None
    assert git(session, "show", f"{tree.id}:a.txt") == "one\ntwo $Id$\n"


def test_caches_environments_and_our_own_folders_are_left_out(
    workspace: Workspace, place: Path, session: Path
) -> None:
    for folder in (
        ".git",
        ".maestro",
        "__pycache__",
        ".venv",
        "venv",
        "node_modules",
        "sub/.tox",
        ".mypy_cache",
    ):
        put(place, f"{folder}/file")
    put(place, "env/pyvenv.cfg")
    put(place, "env/lib/x.py")
    put(place, "a.pyc")
    put(place, "environment/env/settings.toml")
    put(place, "sub/.git", "gitdir: elsewhere")
    assert paths(workspace.snapshot("build/1/before")) == {"environment/env/settings.toml"}


def test_a_checkpoint_directory_inside_the_workspace_is_left_out(place: Path) -> None:
    root = place / "checkpoints"
    session = root / "s-1"
    session.mkdir(parents=True)
    put(root, "other/history/0000.json")
    put(place, "a.txt")
    tree = Workspace(session, place, exclude=(root,)).snapshot("build/1/before")
    assert paths(tree) == {"a.txt"}


def test_files_in_a_nested_repository_count(workspace: Workspace, place: Path) -> None:
    put(place, "vendor/lib/.git/HEAD", "ref: refs/heads/main")
    put(place, "vendor/lib/code.py")
    assert paths(workspace.snapshot("build/1/before")) == {"vendor/lib/code.py"}


def test_links_are_recorded_and_never_followed(workspace: Workspace, place: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    put(secret, "key.txt", "do not read")
    before = workspace.snapshot("build/1/before")
    (place / "folder").symlink_to(secret)
    (place / "file").symlink_to(secret / "key.txt")
    (place / "dangling").symlink_to("nowhere")
    after = workspace.snapshot("build/1/after")
    found = {change.path: change.sha256 for change in workspace.changes(before, after)}
    assert set(found) == {"folder", "file", "dangling"}
    assert found["file"] == hashlib.sha256(os.fsencode(secret / "key.txt")).hexdigest()


def test_pipes_and_sockets_do_not_stop_the_reading(workspace: Workspace, place: Path) -> None:
    os.mkfifo(place / "pipe")
    put(place, "a.txt")
    assert paths(workspace.snapshot("build/1/before")) == {"a.txt"}


HOSTILE = [
    'quo"te',
    "new\nline",
    "tab\there",
    "esc\x1b[31m",
    "back\\slash",
    "spä ce",
    "-dash",
    "[markup]",
    " lead",
]


def test_hostile_names_are_recorded_as_they_are(workspace: Workspace, place: Path, session: Path) -> None:
    before = workspace.snapshot("build/1/before")
    for name in HOSTILE:
        put(place, f"in {name}/{name}")
    after = workspace.snapshot("build/1/after")
    assert {change.path for change in workspace.changes(before, after)} == {f"in {n}/{n}" for n in HOSTILE}
    assert after.problems == ()
    assert workspace.keep(after) is None
    listed = git(session, "ls-tree", "-r", "-z", "--name-only", after.id).strip("\0").split("\0")
    assert set(listed) == paths(after)


def test_a_name_that_is_no_utf8_becomes_text_that_can_be_written(workspace: Workspace, place: Path) -> None:
    before = workspace.snapshot("build/1/before")
    with open(os.fsencode(place) + b"/bad\xff.txt", "wb") as stream:
        stream.write(b"1")
    changes = workspace.changes(before, workspace.snapshot("build/1/after"))
    assert [change.path for change in changes] == ["bad\\xff.txt"]
    assert changes[0].path.encode()


def test_a_tree_lasts_in_the_sessions_own_repository(session: Path, place: Path) -> None:
    put(place, "src/run.sh", "#!/bin/sh\n")
    (place / "src/run.sh").chmod(0o755)
    (place / "link").symlink_to("src/run.sh")
    workspace = Workspace(session, place)
    tree = workspace.snapshot("design/2/after")
    assert workspace.keep(tree) is None
    assert git(session, "rev-parse", "refs/maestro/design/2/after").strip() == tree.id
    modes = {line.split()[0] for line in git(session, "ls-tree", "-r", tree.id).splitlines()}
    assert modes == {"100755", "120000"}
    assert git(session, "fsck", "--strict", "--no-dangling") == ""
    assert not (place / ".git").exists()


def test_a_tree_is_what_git_itself_makes_of_the_same_files(
    session: Path, place: Path, own_home: Path, tmp_path: Path
) -> None:
    for number in range(300):
        put(place, f"d{number % 7}/e.{number % 3}/{number}", "x" * number * 37)
    # Git sorts a folder as if its name ended in a slash: before, between and after these.
    for name in ("a-b", "a.txt", "a0", "a/b", "empty"):
        put(place, name, "" if name == "empty" else name)
    workspace = Workspace(session, place)
    tree = workspace.snapshot("design/1/after")
    assert workspace.keep(tree) is None
    theirs = tmp_path / "theirs"
    subprocess.run(["git", "init", "-q", "--bare", str(theirs)], check=True)
    words = ["git", "--git-dir", str(theirs), "--work-tree", str(place)]
    subprocess.run([*words, "add", "--all"], check=True, capture_output=True)
    made = subprocess.run([*words, "write-tree"], check=True, capture_output=True, text=True)
    assert made.stdout.strip() == tree.id
    assert git(session, "fsck", "--strict", "--full", "--no-dangling") == ""


def test_later_trees_add_only_what_is_new(session: Path, place: Path) -> None:
    put(place, "large", os.urandom(300_000))
    workspace = Workspace(session, place)
    first = workspace.snapshot("design/1/before")
    put(place, "sub/small", "new")
    assert workspace.keep(first, workspace.snapshot("design/1/after")) is None
    size = sum(path.stat().st_size for path in session.rglob("*.pack"))
    # As a process that begins anew, which knows only what is on the disk.
    module._memories.clear()
    put(place, "sub/small", "newer")
    again = Workspace(session, place)
    last = again.snapshot("design/2/after")
    assert again.keep(last) is None
    assert sum(path.stat().st_size for path in session.rglob("*.pack")) - size < 2_000
    assert git(session, "show", f"{last.id}:sub/small") == "newer"
    assert git(session, "diff", "--name-only", first.id, last.id) == "sub/small\n"
    assert git(session, "fsck", "--full", "--no-dangling") == ""


def test_an_untouched_workspace_leaves_nothing_to_write(session: Path, place: Path) -> None:
    put(place, "a.txt")
    workspace = Workspace(session, place)
    before, after = workspace.snapshot("design/1/before"), workspace.snapshot("design/1/after")
    assert before.id == after.id
    assert list(session.iterdir()) == []


def test_much_that_waits_is_kept_whole(session: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_git, "_IN_MEMORY", 1000)
    for number in range(20):
        put(place, f"{number}", os.urandom(500))
    workspace = Workspace(session, place)
    before = workspace.snapshot("design/1/before")
    put(place, "more", os.urandom(2000))
    assert workspace.keep(before, workspace.snapshot("design/1/after")) is None
    assert git(session, "fsck", "--full", "--no-dangling") == ""
    assert [path.name for path in session.iterdir()] == ["workspace.git"]


def test_the_operators_git_settings_and_hooks_play_no_part(
    session: Path, place: Path, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    put(hooks, "reference-transaction", f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (hooks / "reference-transaction").chmod(0o755)
    put(own_home, ".gitconfig", f"[core]\nhooksPath = {hooks}\n[init]\ntemplateDir = {hooks}\nbroken")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'broken")
    put(place, "a.txt")
    workspace = Workspace(session, place)
    tree = workspace.snapshot("design/1/before")
    assert workspace.keep(tree) is None
    assert tree.problems == ()
    assert not (tmp_path / "hooked").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_removed_repository_is_made_again_and_complete(session: Path, place: Path) -> None:
    put(place, "a.txt")
    os.utime(place / "a.txt", (1, 1))
    workspace = Workspace(session, place)
    assert workspace.keep(workspace.snapshot("design/1/before")) is None
    subprocess.run(["rm", "-r", str(session / "workspace.git")], check=True)
    tree = workspace.snapshot("design/1/after")
    assert workspace.keep(tree) is None
    assert git(session, "show", f"{tree.id}:a.txt") == "x"


def test_trees_that_were_lost_with_the_repository_are_named(session: Path, place: Path) -> None:
    put(place, "a.txt")
    workspace = Workspace(session, place)
    before = workspace.snapshot("design/1/before")
    assert workspace.keep(before) is None
    subprocess.run(["rm", "-r", str(session / "workspace.git")], check=True)
    put(place, "a.txt", "new")
    after = workspace.snapshot("design/1/after")
    assert "not kept: design/1/before" in (workspace.keep(before, after) or "")
    assert git(session, "show", "refs/maestro/design/1/after:a.txt") == "new"


def test_a_repository_that_git_packed_anew_is_gone_on_with(session: Path, place: Path) -> None:
    put(place, "a.txt")
    workspace = Workspace(session, place)
    first = workspace.snapshot("design/1/before")
    assert workspace.keep(first) is None
    put(place, "b.txt")
    assert workspace.keep(workspace.snapshot("design/1/after")) is None
    git(session, "gc", "-q", "--prune=now")
    put(place, "c.txt")
    last = workspace.snapshot("design/2/after")
    assert workspace.keep(last) is None
    assert git(session, "diff", "--name-only", first.id, last.id) == "b.txt\nc.txt\n"
    assert git(session, "fsck", "--full", "--no-dangling") == ""


def test_a_name_used_by_an_interrupted_attempt_gets_the_new_tree(session: Path, place: Path) -> None:
    workspace = Workspace(session, place)
    assert workspace.keep(workspace.snapshot("design/1/before")) is None
    put(place, "a.txt")
    tree = workspace.snapshot("design/1/before")
    assert workspace.keep(tree) is None
    assert git(session, "rev-parse", "refs/maestro/design/1/before").strip() == tree.id


def test_a_repository_that_cannot_be_written_costs_the_tree_but_not_the_hashes(
    session: Path, place: Path
) -> None:
    (session / "workspace.git").write_text("in the way")
    workspace = Workspace(session, place)
    before = workspace.snapshot("design/1/before")
    put(place, "a.txt", "new")
    after = workspace.snapshot("design/1/after")
    assert [change.path for change in workspace.changes(before, after)] == ["a.txt"]
    assert "no tree of the workspace was kept" in (workspace.keep(before, after) or "")
    (session / "workspace.git").unlink()
    assert workspace.keep(before, after) is None
    assert git(session, "show", "refs/maestro/design/1/after:a.txt") == "new"


def test_a_workspace_larger_than_the_room_for_it_costs_the_trees_and_nothing_else(
    session: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is let go when it would take more than a third of what is free; with room all is kept again."""
    monkeypatch.setattr(workspace_git, "_IN_MEMORY", 10_000)
    room = 40_000
    monkeypatch.setattr(durable, "free_bytes", lambda folder: room)
    (place / "old.bin").write_bytes(os.urandom(12_000))
    kept = Workspace(session, place)
    before = kept.snapshot("design/1/before")
    (place / "new.bin").write_bytes(os.urandom(6_000))
    after = kept.snapshot("design/1/after")
    assert [one.path for one in kept.changes(before, after)] == ["new.bin"]
    assert "design/1/after): no copy of it can be kept" in str(kept.keep(before, after))
    assert "too little room is free there" in str(kept.keep(after))
    assert list(session.glob("workspace.git/refs/maestro/**/after")) == []
    room = 400_000
    again = kept.snapshot("design/2/after")
    assert again.id == after.id and kept.keep(again) is None
    assert git(session, "ls-tree", "--name-only", "refs/maestro/design/2/after") == "new.bin\nold.bin\n"


def test_a_full_disk_in_the_midst_of_a_reading_costs_the_trees_and_nothing_else(
    session: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_git, "_IN_MEMORY", 10_000)

    def full(folder: Path) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "free_bytes", full)
    (place / "old.bin").write_bytes(os.urandom(12_000))
    kept = Workspace(session, place)
    tree = kept.snapshot("design/1/before")
    assert tree.files["old.bin"].size == 12_000
    assert "No space left" in str(kept.keep(tree))


def test_a_large_file_is_hashed_whole_and_noted_in_the_tree(
    session: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_files, "BLOB_LIMIT", 1000)
    digest = put(place, "big.bin", b"7" * 5000)
    workspace = Workspace(session, place)
    tree = workspace.snapshot("design/1/after")
    assert workspace.keep(tree) is None
    assert (tree.files["big.bin"].size, tree.files["big.bin"].sha256) == (5000, digest)
    assert git(session, "show", f"{tree.id}:big.bin") == f"maestro large file\nsize 5000\nsha256 {digest}\n"


@pytest.mark.parametrize("ends", ["data", "hole"])
def test_the_holes_of_a_large_file_are_hashed_unread(
    place: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr(workspace_files, "BLOB_LIMIT", 1_000)
    monkeypatch.setattr(workspace_files, "_CHUNK", 65_536)
    file, size = place / "disk.img", 50_000_000
    with file.open("wb") as stream:
        stream.write(b"begins")
        for at in (1_000_001, 30_000_000, size - 3 if ends == "data" else 40_000_000):
            stream.seek(at)
            stream.write(b"abc")
        stream.truncate(size)
    read, real = [], os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, at: read.append(count) or real(fd, count, at))
    assert hash_regular(file) == (size, hashlib.sha256(file.read_bytes()).hexdigest())
    assert 0 < sum(read) < 2_000_000, "the file system has no holes, or they were read"


def test_a_missing_workspace_is_told_by_a_sentence(session: Path, tmp_path: Path) -> None:
    workspace = Workspace(session, tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"Cannot read the workspace .*nowhere: No such file or directory"):
        workspace.snapshot("design/1/before")


@pytest.mark.parametrize("name", ["", "../x", "a//b", "a/.b", "a b", "a.lock", "/a", "a/", "x" * 300])
def test_a_bad_name_of_a_snapshot_is_refused(session: Path, place: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no name for a snapshot"):
        Workspace(session, place).snapshot(name)


@pytest.mark.usefixtures("permissions_count")
def test_an_unreadable_file_is_told_and_its_change_is_still_seen(workspace: Workspace, place: Path) -> None:
    put(place, "locked.txt")
    (place / "locked.txt").chmod(0)
    before = workspace.snapshot("design/1/before")
    os.utime(place / "locked.txt", (5, 5))
    after = workspace.snapshot("design/1/after")
    assert "locked.txt cannot be read" in before.problems[0]
    assert [change.change for change in workspace.changes(before, after)] == ["changed"]


def test_a_folder_that_cannot_be_looked_at_any_more_is_not_called_deleted(
    workspace: Workspace, place: Path, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, "src/a.py")
    put(place, "src/deep/b.py")
    put(place, "gone.txt")
    before = workspace.snapshot("design/1/before")
    (place / "gone.txt").unlink()
    real = os.open

    def locked(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "src":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("maestro_tui.store.workspace_files.os.open", locked)
    after = workspace.snapshot("design/1/after")
    assert after.problems == ("src cannot be read: Permission denied",)
    assert [(one.path, one.change) for one in workspace.changes(before, after)] == [("gone.txt", "deleted")]
    anew = Workspace(session / "another", place).snapshot("design/1/after")
    assert [one.path for one in workspace.changes(before, anew)] == ["gone.txt"], "nothing was known before"
    assert sorted(after.files) == ["src/a.py", "src/deep/b.py"], "the kept tree is whole"


def test_code_in_whose_folder_somebody_makes_an_environment_stays_in_sight(
    workspace: Workspace, place: Path
) -> None:
    put(place, "backend/main.py")
    put(place, "backend/api/routes.py")
    before = workspace.snapshot("design/1/before")
    for name in ("pyvenv.cfg", "more.py", "lib/python3/site.py", "api/new.py"):
        put(place, f"backend/{name}")
    after = workspace.snapshot("design/1/after")
    assert [(one.path, one.change) for one in workspace.changes(before, after)] == [
        (f"backend/{name}", "new") for name in ("api/new.py", "more.py", "pyvenv.cfg")
    ]


def test_parallel_phases_record_at_the_same_time(session: Path, place: Path) -> None:
    for number in range(50):
        put(place, f"d/{number}.txt", str(number))
    trees: dict[int, Tree] = {}
    kept: dict[int, str | None] = {}

    def record(number: int) -> None:
        workspace = Workspace(session, place)
        trees[number] = workspace.snapshot(f"phase-{number}/1/before")
        kept[number] = workspace.keep(trees[number])

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert kept == dict.fromkeys(range(6))
    assert len({tree.id for tree in trees.values()}) == 1
    assert len(git(session, "for-each-ref").splitlines()) == 6
    assert git(session, "fsck", "--no-dangling") == ""


def test_what_is_recorded_is_for_its_owner_alone(session: Path, place: Path) -> None:
    put(place, "a.txt")
    old = os.umask(0)
    try:
        workspace = Workspace(session, place)
        assert workspace.keep(workspace.snapshot("design/1/before")) is None
    finally:
        os.umask(old)
    open_to_others = [path for path in session.rglob("*") if path.lstat().st_mode & 0o077]
    assert open_to_others == []


def test_hash_regular_refuses_links(place: Path) -> None:
    digest = put(place, "a.txt", "abc")
    (place / "link").symlink_to("a.txt")
    assert hash_regular(place / "a.txt") == (3, digest)
    with pytest.raises(OSError):
        hash_regular(place / "link")


def test_what_waits_for_the_disk_is_closed_with_its_store(tmp_path: Path) -> None:
    trees = workspace_git.TreeStore(tmp_path / "workspace.git")
    trees.blob(b"x")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del trees
        gc.collect()
    assert [str(one.message) for one in told if one.category is ResourceWarning] == []
