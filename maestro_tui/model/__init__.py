"""The nouns of maestro-tui: pure values and decisions, no input or output."""
