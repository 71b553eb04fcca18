"""Errors are sentences to an operator: what happened, where, what is safe, what to do next."""

from __future__ import annotations


class MaestroError(Exception):
    """Base of all errors that maestro-tui tells the operator; `str()` is the whole sentence."""


class InputError(MaestroError):
    """What was asked for cannot be done as asked; nothing was changed (exit code 2)."""


class WorkflowError(InputError):
    """A workflow definition is wrong; the sentence names the file and the place."""


class PlanError(InputError):
    """A request does not fit the session as it is; nothing was run."""


class WaitingError(PlanError):
    """What is asked for needs a phase that waits for a person's word; nothing was run (exit code 3)."""


class StoreError(MaestroError):
    """Reading or writing the checkpoint directory failed; the last commit is intact."""


class DamagedFile(StoreError):
    """A file of the store is not what was written; the sentence holds path and reason in one line."""


class HeldError(MaestroError):
    """Another runner holds the session or phase; the sentence says who (exit code 4)."""


class FencedError(StoreError):
    """This runner lost its lease to another one; its late commit was refused and nothing was overwritten."""
