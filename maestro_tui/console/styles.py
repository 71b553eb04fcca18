"""Where the style sheets are: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path, PurePath


def style_paths() -> list[str | PurePath]:
    """The style sheets: beside the package when installed, one folder up in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "styles", package.parent / "styles"):
        if (folder / "app.tcss").is_file():
            first = folder / "app.tcss"
            return [first, *sorted(path for path in folder.glob("*.tcss") if path != first)]
    raise FileNotFoundError(
        f"The style sheets of maestro-tui are missing beside {package}; install it again."
    )
