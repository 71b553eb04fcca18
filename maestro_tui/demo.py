"""`maestro-tui demo`: real sessions on a shipped sample project, one of which fails for a reason to mend."""

from __future__ import annotations

import asyncio
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from maestro_tui.model.errors import InputError, MaestroError
from maestro_tui.model.text import clean

SAMPLE = Path(__file__).resolve().parent / "demo_project"
REQUIREMENT = (
    "Invoices can be split into equal parts. The parts of an amount must add up to the amount, to the cent. "
    "The command `tally` must print each part."
)
RELEASE_REQUIREMENT = "Release 1.4.0 with notes that name every module"


class Demo:
    """The sample in a folder of its own, with the sessions that run on it."""

    def __init__(self, folder: Path | None, root: Path | None = None) -> None:
        if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(
                f"{clean(str(folder), 200)} is not an empty folder; name a new one. Nothing was changed."
            )
        self.base = (folder or Path(tempfile.mkdtemp(prefix="maestro-demo-"))).absolute()
        self.root = root or self.base / ".maestro"
        # A workspace for each session: what is measured in one is not the other's doing.
        self.folder, self.release_folder = self.base / "tally", self.base / "tally-release"
        for copy in (self.folder, self.release_folder):
            shutil.copytree(SAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        self.release = release = self.release_folder / "release.toml"
        # The commands run with the Python that runs this, whatever is called python3 on the PATH.
        release.write_text(
            release.read_text(encoding="utf-8").replace('"python3"', _toml(sys.executable)), encoding="utf-8"
        )

    def mend(self) -> bool:
        """Repair the sample's defect, as the operator would; False when it is mended already."""
        return bool(runpy.run_path(str(self.folder / "mend.py"))["mend"]())

    def start(self) -> list[subprocess.Popen[bytes]]:
        """Begin both sessions in processes of their own: a console sees them as it sees anybody's."""
        return [
            self._spawn("invoices", REQUIREMENT, "sdlc", self.folder),
            self._spawn("release-1.4.0", RELEASE_REQUIREMENT, str(self.release), self.release_folder),
        ]

    def _spawn(
        self, session_id: str, requirement: str, workflow: str, workspace: Path
    ) -> subprocess.Popen[bytes]:
        words = [
            sys.executable,
            "-P",
            "-m",
            "maestro_tui",
            "--checkpoint-dir",
            str(self.root),
            "run",
            requirement,
        ]
        words += [
            "--session-id",
            session_id,
            "--workflow",
            workflow,
            "--workspace",
            str(workspace),
            "--trust",
        ]
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])},
        )

    async def run_headless(self) -> None:
        """Fail, mend, resume, complete; then a release with a person's approval. Raises when it does not."""
        from maestro_tui.engine.launch import Launch
        from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
        from maestro_tui.progress import Progress

        engine = TeamExecutionEngineV2SplitMode(self.root, on_event=Progress(sys.stdout))

        def expect(what: str, session_id: str, wanted: str) -> None:
            from maestro_tui.engine.report import session_document

            status = session_document(engine, session_id)["status"]
            if status != wanted:
                raise MaestroError(
                    f"The demo expected {what} to be {wanted}, and it is {status}; see {self.root}."
                )

        _say("1 · a session on the sample project, with the toolbox as its team")
        first = engine.create(
            Launch(REQUIREMENT, workflow="sdlc", workspace=str(self.folder), session_id="invoices")
        )
        await engine.drive_new(first)
        expect("the first run", first, "failed")
        _say("2 · the tests are red for a real reason: split() loses cents. Mending src/tally/money.py")
        if not self.mend():
            raise MaestroError("The sample was mended already; the demo has nothing to show.")
        _say("3 · resume: what is committed is reused, testing is tried again")
        await engine.resume(first)
        expect("the resumed session", first, "completed")
        _say("4 · a workflow of commands: two phases side by side, and a person's word at the end")
        second = engine.create(
            Launch(
                RELEASE_REQUIREMENT,
                workflow=str(self.release),
                workspace=str(self.release_folder),
                session_id="release-1.4.0",
            )
        )
        await engine.drive_new(second)
        expect("the release", second, "waiting")
        engine.decide(second, None, "approved", by="demo", reason="the notes name every module")
        await engine.resume(second)
        expect("the release", second, "completed")
        _say(f"Done. Look around: maestro-tui --checkpoint-dir {self.root}")


def run_demo(
    folder: Path | None, root: Path | None, *, interactive: bool
) -> tuple[Path, list[subprocess.Popen[bytes]]]:
    """Set the sample up and run it; with a console to come, the sessions run in processes of their own."""
    demo = Demo(folder, root)
    if interactive:
        click.echo(
            f"The sample is in {demo.folder}. 'invoices' will fail at testing; mend it in another terminal:"
        )
        click.echo(f"  {Path(sys.executable).name} {demo.folder / 'mend.py'}")
        click.echo("then press r in the console to resume it.")
        return demo.root, demo.start()
    asyncio.run(demo.run_headless())
    return demo.root, []


def _toml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _say(text: str) -> None:
    click.echo(f"\n── {text}")
