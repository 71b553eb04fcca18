"""What an attempt changed in a workspace is found, whatever the project or its git settings say."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from pathlib import Path

import pytest

from maestro_tui.model.errors import InputError, StoreError
from maestro_tui.store import workspace as module
from maestro_tui.store.workspace import FileChange, Tree, Workspace, hash_regular


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


@pytest.fixture(params=["with git", "without git"])
def workspace(
    request: pytest.FixtureRequest, session: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    if request.param == "without git":
        monkeypatch.setattr("maestro_tui.store.workspace_git.shutil.which", lambda name: None)
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


def test_what_gitignore_hides_still_counts(workspace: Workspace, place: Path, session: Path) -> None:
    put(place, ".gitignore", "dist/\n*.log\n")
    put(place, ".gitattributes", "*.txt text eol=crlf filter=evil ident\n")
    put(place, "dist/x.whl")
    put(place, "out.log")
    put(place, "a.txt", "one\ntwo $Id$\n")
    tree = workspace.snapshot("build/1/after")
    assert {"dist/x.whl", "out.log"} <= paths(tree)
    if tree.commit is not None:
        assert git(session, "show", f"{tree.commit}:a.txt") == "one\ntwo $Id$\n"


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
    if after.commit is not None:
        listed = git(session, "ls-tree", "-r", "-z", "--name-only", after.commit).strip("\0").split("\0")
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
    tree = Workspace(session, place).snapshot("design/2/after")
    assert git(session, "rev-parse", "refs/maestro/design/2/after").strip() == tree.commit
    modes = {line.split()[0] for line in git(session, "ls-tree", "-r", str(tree.commit)).splitlines()}
    assert modes == {"100755", "120000"}
    assert git(session, "fsck", "--strict", "--no-dangling") == ""
    assert not (place / ".git").exists()


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
    tree = Workspace(session, place).snapshot("design/1/before")
    assert tree.commit is not None
    assert tree.problems == ()
    assert not (tmp_path / "hooked").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_removed_repository_is_made_again_and_complete(session: Path, place: Path) -> None:
    put(place, "a.txt")
    os.utime(place / "a.txt", (1, 1))
    workspace = Workspace(session, place)
    workspace.snapshot("design/1/before")
    subprocess.run(["rm", "-r", str(session / "workspace.git")], check=True)
    tree = workspace.snapshot("design/1/after")
    assert git(session, "show", f"{tree.commit}:a.txt") == "x"


def test_a_name_used_by_an_interrupted_attempt_gets_the_new_tree(session: Path, place: Path) -> None:
    workspace = Workspace(session, place)
    workspace.snapshot("design/1/before")
    put(place, "a.txt")
    tree = workspace.snapshot("design/1/before")
    assert git(session, "rev-parse", "refs/maestro/design/1/before").strip() == tree.commit


def test_a_broken_git_costs_the_tree_but_not_the_hashes(
    session: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "git"
    broken.write_text("#!/bin/sh\necho 'fatal: no luck today' >&2\nexit 128\n")
    broken.chmod(0o755)
    monkeypatch.setattr("maestro_tui.store.workspace_git.shutil.which", lambda name: str(broken))
    workspace = Workspace(session, place)
    before = workspace.snapshot("design/1/before")
    put(place, "a.txt", "new")
    after = workspace.snapshot("design/1/after")
    assert [change.path for change in workspace.changes(before, after)] == ["a.txt"]
    assert after.commit is None
    assert len(after.problems) == 1
    assert "git kept no tree" in after.problems[0]


def test_a_large_file_is_hashed_whole_and_noted_in_the_tree(
    session: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOB_LIMIT", 1000)
    digest = put(place, "big.bin", b"7" * 5000)
    tree = Workspace(session, place).snapshot("design/1/after")
    assert (tree.files["big.bin"].size, tree.files["big.bin"].sha256) == (5000, digest)
    assert (
        git(session, "show", f"{tree.commit}:big.bin") == f"maestro large file\nsize 5000\nsha256 {digest}\n"
    )


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


def test_parallel_phases_record_at_the_same_time(session: Path, place: Path) -> None:
    for number in range(50):
        put(place, f"d/{number}.txt", str(number))
    trees: dict[int, Tree] = {}

    def record(number: int) -> None:
        trees[number] = Workspace(session, place).snapshot(f"phase-{number}/1/before")

    threads = [threading.Thread(target=record, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(trees[number].commit for number in range(6))
    assert len({git(session, "rev-parse", f"{tree.commit}^{{tree}}") for tree in trees.values()}) == 1
    assert git(session, "fsck", "--no-dangling") == ""


def test_what_is_recorded_is_for_its_owner_alone(session: Path, place: Path) -> None:
    put(place, "a.txt")
    old = os.umask(0)
    try:
        Workspace(session, place).snapshot("design/1/before")
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
