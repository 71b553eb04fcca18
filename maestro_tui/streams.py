"""Standard streams as a program of the shell must take them: closed from the start, or with a reader that has gone."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

READER_GONE = 141
"""What a shell reports of a program that SIGPIPE ended."""


def open_closed() -> None:
    """Give every standard stream that was closed by who started us the null device.

    Descriptors 0 to 2 are occupied first: else the next file, a checkpoint for one, would become what every
    child process and library takes for standard error.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def silence(stream: TextIO) -> None:
    """Send what is still written to a stream nowhere: its reader has gone, and its end must not fail."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)


def end_streams() -> None:
    """Write what is left; what cannot be written any more must not become the program's exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            silence(stream)
