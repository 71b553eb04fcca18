"""Commands that bring sessions in and out: import, export; and how history of Maestro Hive is shown and checked."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.options import as_json_option, directory, root_of, workspace_option

if TYPE_CHECKING:
    from maestro_tui.engine.adoption import Adopted
    from maestro_tui.store.checkpoints import CheckpointStore


@click.command(name="import")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@directory
@click.option(
    "--workflow", metavar="NAME|FILE", default=None, help="The workflow to go on with (default: sdlc)."
)
@workspace_option
@click.option("--only", metavar="ID", default=None, help="Of all that is there, this workflow alone.")
@click.option("--as", "as_id", metavar="ID", default=None, help="A name of your own for the session.")
@as_json_option
@click.pass_context
def import_sessions(
    ctx: click.Context,
    paths: Sequence[str],
    checkpoint_dir: str | None,
    workflow: str | None,
    workspace: str | None,
    only: str | None,
    as_id: str | None,
    as_json: bool,
) -> None:
    """Bring sessions in: a bundle, or files and directories of Maestro Hive.

    Nothing runs. What Maestro Hive completed is provided; what failed there is tried again by 'resume'. Its
    files stay as they are.
    """
    from maestro_tui.engine.adoption import adopt
    from maestro_tui.engine.launch import workspace_problem
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
    from maestro_tui.store.unbundle import is_bundle
    from maestro_tui.store.workspace_files import shown_path

    engine = TeamExecutionEngineV2SplitMode(root_of(ctx, checkpoint_dir))
    files = [Path(path).expanduser().absolute() for path in paths]
    if any(map(is_bundle, files)):
        if len(files) > 1 or workflow or workspace or only:
            raise InputError(
                "A bundle is imported alone, and holds its workflow: name one file, and no option but --as. "
                "Nothing was imported."
            )
        _import_bundle(engine.store, files[0], as_id, as_json)
        return
    place = Path(workspace or ".").expanduser().absolute()
    wrong = workspace_problem(place)
    if wrong:
        raise InputError(f"The workspace {clean(shown_path(str(place)), 200)} {wrong}. Nothing was imported.")
    adopted = adopt(engine, files, workspace=place, workflow=workflow, only=only, as_id=as_id)
    if as_json:
        click.echo(json.dumps([_document(one) for one in adopted], indent=2))
    else:
        for one in adopted:
            _tell(one)
    if any(one.problem for one in adopted):
        sys.exit(1)


def _import_bundle(store: CheckpointStore, file: Path, as_id: str | None, as_json: bool) -> None:
    from maestro_tui.store.unbundle import unpack_bundle

    manifest = unpack_bundle(store, file, as_id)
    session_id = as_id or manifest.session_id
    if as_json:
        facts = {"source": manifest.session_id, "session_id": session_id, "notes": list(manifest.left_out)}
        click.echo(json.dumps([facts], indent=2))
        return
    click.echo(
        f"✓ {manifest.session_id} → {session_id}: commit {manifest.seq}, {len(manifest.members)} files checked"
    )
    if as_id is not None and as_id != manifest.session_id:
        click.echo(
            "    It begins at that commit under its new name; earlier commits and the journal stay in the bundle."
        )
    for line in manifest.left_out:
        click.echo(f"    not whole: {line}")
    click.echo(f"    Go on: maestro-tui resume {session_id} --workspace DIR")


def _document(one: Adopted) -> dict[str, Any]:
    return {
        "source": one.source,
        "session_id": one.session_id,
        "phases": dict(one.phases),
        "notes": list(one.notes),
        "problem": one.problem,
    }


def _tell(one: Adopted) -> None:
    if one.problem is not None:
        click.echo(f"✗ {one.source}: {clean(one.problem, 600)}")
        return
    phases = ", ".join(f"{clean(name, 64)} {status}" for name, status in one.phases.items())
    click.echo(f"✓ {one.source} → {one.session_id}: {phases or 'no phase is done'}")
    for note in one.notes:
        click.echo(f"    {clean(note, 400)}")
    click.echo(f"    Go on: maestro-tui resume {one.session_id}")


@click.command()
@click.argument("session")
@directory
@click.option(
    "--format",
    "form",
    type=click.Choice(["bundle", "hive"]),
    default="bundle",
    help="One archive of everything (default), or a checkpoint for Maestro Hive.",
)
@click.option("-o", "--output", metavar="PATH", default=None, help="A new file, or a folder to put it in.")
@as_json_option
@click.pass_context
def export(
    ctx: click.Context, session: str, checkpoint_dir: str | None, form: str, output: str | None, as_json: bool
) -> None:
    """Write a session to one file: everything of it as a bundle, or its state for Maestro Hive."""
    from maestro_tui.store.bundle import write_bundle
    from maestro_tui.store.checkpoints import CheckpointStore
    from maestro_tui.store.hive_export import hive_checkpoint, hive_name

    store = CheckpointStore(root_of(ctx, checkpoint_dir))
    commit = store.head(session)
    left_out: Sequence[str] = ()
    if form == "hive":
        target = _target(output, hive_name(commit))
        _write(target, hive_checkpoint(commit))
    else:
        target = _target(output, f"{session}.bundle")
        left_out = write_bundle(store, session, target).left_out
    if as_json:
        facts = {"session_id": session, "format": form, "path": str(target), "left_out": list(left_out)}
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"Written: {clean(str(target), 300)}")
    for line in left_out:
        click.echo(f"    not whole: {line}")
    if form == "bundle":
        click.echo("    It holds the workspace's files as they are, secrets in them (.env) too.")


@click.command()
@click.argument("session")
@click.argument("folder", metavar="DIR")
@click.option(
    "--at",
    metavar="PHASE[.N]",
    default=None,
    help="As this phase, or its attempt N, left it (default: the last).",
)
@directory
@as_json_option
@click.pass_context
def restore(
    ctx: click.Context, session: str, folder: str, at: str | None, checkpoint_dir: str | None, as_json: bool
) -> None:
    """Write the workspace as an attempt left it into an empty folder."""
    from maestro_tui.store.checkpoints import CheckpointStore
    from maestro_tui.store.restore import restore_tree

    target = Path(folder).expanduser().absolute()
    done = restore_tree(CheckpointStore(root_of(ctx, checkpoint_dir)), session, target, at)
    if as_json:
        click.echo(json.dumps({"session_id": session, "path": str(target), **asdict(done)}, indent=2))
    else:
        place = clean(str(target), 300)
        click.echo(f"Written: {done.files} files of {done.phase} attempt {done.attempt} into {place}")
        for line in done.missing:
            click.echo(f"    not there: {line}")
        click.echo(f"    Go on there: maestro-tui resume {session} --workspace {place}")
    if done.missing:
        sys.exit(1)


def _target(output: str | None, name: str) -> Path:
    path = Path(output).expanduser().absolute() if output is not None else Path.cwd() / name
    return path / name if path.is_dir() else path


def _write(path: Path, data: bytes) -> None:
    from maestro_tui.store import durable

    try:
        durable.write_new(path, data)
    except FileExistsError:
        raise InputError(f"{clean(str(path), 200)} is there already; name a new file.") from None


def is_history(root: Path, session: str) -> bool:
    """True for the name of a workflow of Maestro Hive under `root`."""
    from maestro_tui.store.hive_folder import find_hive

    return root.is_dir() and find_hive(root, session) is not None


def foreign_document(root: Path, session: str) -> dict[str, Any] | None:
    """What `show` tells of a workflow of Maestro Hive under `root`; None when there is none of that name."""
    from maestro_tui.engine.report import history_document
    from maestro_tui.store.hive_detail import history_of
    from maestro_tui.store.hive_folder import find_hive

    group = find_hive(root, session)
    return history_document(history_of(group)) if group is not None else None


def verified(store: CheckpointStore, named: str | None, *, artifacts: bool = False) -> dict[str, list[str]]:
    """Name → what is wrong with each session, of ours or of Maestro Hive, or with the one bundle that is named.

    Trees of the workspace are checked too; with `artifacts` the files in the workspace as well. Raises `InputError` when there is nothing of that name.
    """
    from maestro_tui.store.hive_folder import HiveFolder
    from maestro_tui.store.unbundle import is_bundle, verify_bundle
    from maestro_tui.store.verify_trees import tree_problems

    path = Path(named).expanduser().absolute() if named is not None else None
    if path is not None and is_bundle(path):
        return {path.name: verify_bundle(path)}
    folder = HiveFolder(store.root)
    folder.look()
    own = store.session_ids()
    names = [named] if named is not None else sorted({*own, *folder.groups})
    found = {}
    for name in names:
        if name not in own and name in folder.groups:
            found[name] = list(folder.groups[name].problems)
        elif name in own or store.session_dir(name).is_dir():
            found[name] = [
                *store.verify(name, artifacts=artifacts),
                *tree_problems(store.session_dir(name)),
            ]
        else:
            raise InputError(f"There is no session {clean(name, 80)!r} in {store.root}.")
    return found


EXCHANGE: tuple[click.Command, ...] = (import_sessions, export, restore)
