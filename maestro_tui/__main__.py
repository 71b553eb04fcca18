"""`python -m maestro_tui` is the command `maestro-tui`."""

from maestro_tui.cli import main

if __name__ == "__main__":
    main()
