"""Keeps a fault of the console off the screen: the traceback goes to a file, a sentence names it."""

from __future__ import annotations


def crash_words(error: BaseException | None) -> str:
    """Write the traceback to a file of this user; the sentence for the terminal."""
    if error is None:
        return "The console ended by a fault of its own. Sessions are safe on disk; start it again."
    from maestro_tui.config import write_crash

    return (
        f"The console ended by a fault of its own ({type(error).__name__}); {write_crash(error)}. "
        "Sessions are safe on disk; start it again."
    )
