"""What a run leaves is for its owner alone, whatever the umask; nothing runs that was not approved as it stands."""

from __future__ import annotations

import ast
import base64
import os
import stat
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

import maestro_tui
from maestro_tui.cli import main
from maestro_tui.config import write_crash
from maestro_tui.store.checkpoints import CheckpointStore
from tests.sessions import Project, line
from tests.store.small_sessions import context

SECRET = "correct-Horse-7-battery"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "shop", line("a", "b"))


def run(project: Project, umask: int, *words: str) -> None:
    """`maestro-tui` under a umask; it must complete."""
    done = subprocess.run(
        project.command(*words), cwd=project.folder, umask=umask, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_all_that_a_run_leaves_is_for_its_owner_alone(project: Project, own_home: Path, umask: int) -> None:
    run(project, umask, "run", "x", "--session-id", "s1", "--trust")
    run(project, umask, "resume", "s1", "--from", "b")
    run(project, umask, "list")
    kept = [project.root, own_home / ".state" / "maestro-tui"]
    found = [path for top in kept for path in (top, *top.rglob("*"))]
    assert len(found) > 25
    open_to_others = [
        f"{path.relative_to(project.root.parent) if path.is_relative_to(project.root.parent) else path} {mode:o}"
        for path in found
        if (mode := stat.S_IMODE(path.lstat().st_mode)) != (0o700 if path.is_dir() else 0o600)
        # Objects and packs of a repository are read-only, for the owner alone as well.
        and not (mode == 0o400 and path.is_file())
    ]
    assert open_to_others == []


def test_trust_holds_for_one_content_in_every_way_to_run_it(project: Project) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    before = [project.runs(name) for name in ("a", "b")]
    project.file.write_text(project.file.read_text().replace('name = "worker"', 'name = "walker"', 1))
    for words in (
        ["run", "x", "--session-id", "s2"],
        ["resume", "s1", "--from", "a"],
        ["phase", "s1", "a"],
        ["drill", "s1"],
    ):
        refused = project.call(*words)
        assert refused.returncode == 2, (words, refused.stderr)
        assert "not trusted yet; nothing was run" in refused.stderr
    assert [project.runs(name) for name in ("a", "b")] == before
    assert [entry["session_id"] for entry in project.json("list")] == ["s1"]


def test_a_damaged_or_foreign_trust_book_trusts_nothing(project: Project, own_home: Path) -> None:
    project.json("run", "x", "--session-id", "s1", "--trust", code=0)
    book = own_home / ".state" / "maestro-tui" / "trusted.json"
    good = book.read_bytes()
    for damage in (b"", b"[]", good[:-30], b"[" * 20_000, b'{"*": {}}', b"\xff" * 100):
        book.write_bytes(damage)
        assert project.call("resume", "s1", "--from", "a").returncode == 2
    book.unlink()
    book.symlink_to("/dev/zero")
    assert project.call("resume", "s1", "--from", "a").returncode == 2
    assert project.runs("a") == 1
    book.unlink()
    book.write_bytes(good)
    assert project.call("resume", "s1", "--from", "a").returncode == 0


def test_a_command_sees_the_few_variables_and_no_secret_and_what_it_prints_of_one_is_not_kept(
    project: Project, own_home: Path
) -> None:
    (project.folder / "step.py").write_text(
        "import base64, json, os, pathlib, urllib.parse\n"
        "seen = sorted(os.environ)\n"
        f"secret = {SECRET!r}\n"
        "print('x' * 70_000 + secret, flush=True)\n"
        "print(json.dumps({'deep': [secret]}), urllib.parse.quote(secret, safe=''))\n"
        "print(base64.b64encode(b'user:' + secret.encode()).decode(), base64.urlsafe_b64encode(secret.encode()).decode())\n"
        "pathlib.Path(os.environ['MAESTRO_RESULT']).write_text(json.dumps({'outputs': {'seen': seen, secret: secret}}))\n"
    )
    names = (
        "SHOP_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "LD_PRELOAD_X",
        "GIT_DIR",
        "PYTHONSTARTUP",
        "BASH_ENV",
        "SSH_AUTH_SOCK",
    )
    done = subprocess.run(
        project.command("run", "x", "--session-id", "s1", "--trust"),
        cwd=project.folder,
        env=os.environ | dict.fromkeys(names, SECRET),
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    seen = project.json("show", "s1", code=0)["outputs"]["a"]["seen"]
    assert not set(seen) & set(names)
    assert {"PATH", "HOME", "MAESTRO_CONTEXT", "MAESTRO_RESULT"} <= set(seen)
    raw = SECRET.encode()
    forms = {
        raw,
        quote(SECRET, safe="").encode(),
        base64.b64encode(raw)[:-4],
        base64.b64encode(b"user:" + raw)[8:-4],
    }
    for path in [*project.root.rglob("*"), *(own_home / ".state").rglob("*")]:
        if path.is_file():
            data = path.read_bytes()
            assert not [form for form in forms if form in data], path


def test_a_traceback_is_kept_for_its_owner_alone_and_without_secrets(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    error = ValueError(f"cannot log in with {SECRET}")
    before = os.umask(0)
    try:
        told = write_crash(error)
    finally:
        os.umask(before)
    log = own_home / ".state" / "maestro-tui" / "crash.log"
    assert str(log) in told and SECRET not in told
    assert "ValueError: cannot log in with ‹SHOP_TOKEN›" in log.read_text()
    assert (stat.S_IMODE(log.stat().st_mode), stat.S_IMODE(log.parent.stat().st_mode)) == (0o600, 0o700)
    log.unlink()
    log.mkdir()
    assert write_crash(error) == "it says: cannot log in with ‹SHOP_TOKEN›"


def test_a_traceback_follows_no_link(own_home: Path, tmp_path: Path) -> None:
    (own_home / ".state" / "maestro-tui").mkdir(parents=True)
    (tmp_path / "victim").write_text("mine")
    (own_home / ".state" / "maestro-tui" / "crash.log").symlink_to(tmp_path / "victim")
    write_crash(ValueError("so"))
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("words", [["show", "no"], ["verify", "no"], ["doctor", "no"], ["resume", "no"]])
def test_a_hostile_checkpoint_directory_does_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    root = tmp_path / "r\x1b]0;owned\x07\x9b2J\u202e"
    root.mkdir()
    with pytest.raises(SystemExit):
        main([*words, "--checkpoint-dir", str(root)])
    told = capsys.readouterr()
    assert "There is no session 'no'" in told.err and "r␛]0;owned␇" in told.err
    assert (told.out + told.err.removesuffix("\n")).isprintable()


def test_a_report_is_written_for_its_owner_alone_and_never_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = CheckpointStore(tmp_path / "root")
    store.create(context())
    target = tmp_path / "report.md"
    words = ["report", "s1", "--checkpoint-dir", str(store.root), "-o", str(target)]
    before = os.umask(0)
    try:
        main(words)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and target.read_text().startswith("# Session `s1`")
    with pytest.raises(SystemExit):
        main(words)
    assert "is there already" in capsys.readouterr().err


def test_the_source_holds_no_shell_no_pickle_and_no_eval() -> None:
    top = Path(maestro_tui.__file__).parent
    found = []
    for path in top.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                found += [
                    f"{path}: {name}"
                    for name in names
                    if name.split(".")[0] in ("pickle", "shelve", "marshal")
                ]
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("eval", "exec", "os.system", "os.popen") or any(
                    word.arg == "shell"
                    and ast.unparse(word.value) != "False"
                    and called.startswith("subprocess")
                    for word in node.keywords
                ):
                    found.append(f"{path.relative_to(top)}:{node.lineno}: {called}")
    assert found == []
