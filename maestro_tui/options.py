"""Options that several commands share, and where the checkpoint directory is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean

DIRECTORY_VARIABLE = "MAESTRO_CHECKPOINT_DIR"


def default_root() -> str:
    """The checkpoint directory when none is named."""
    return os.environ.get(DIRECTORY_VARIABLE) or ".maestro"


def directory(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--checkpoint-dir`, before or after the command."""
    return click.option(
        "--checkpoint-dir",
        metavar="DIR",
        default=None,
        help=f"Where sessions are kept (default: ${DIRECTORY_VARIABLE}, else ./.maestro).",
    )(command)


def root_of(ctx: click.Context, own: str | None) -> Path:
    """The directory named after the command, else before it, else the default."""
    chosen = own or ctx.find_root().params.get("checkpoint_dir") or default_root()
    root = Path(chosen).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise InputError(
            f"The checkpoint directory {clean(str(root), 200)} is not a folder. Nothing was changed."
        )
    return root


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document at the end.")
dry_option = click.option("--dry-run", is_flag=True, help="Print the plan and run nothing.")
trust_option = click.option("--trust", is_flag=True, help="Approve the commands that the workflow names.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Also print what the performers say.")
workspace_option = click.option(
    "--workspace", metavar="DIR", default=None, help="The project's folder (default: here)."
)
