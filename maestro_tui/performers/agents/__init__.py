"""Agents on the command line: how each is called, what its stream of events means, and which are installed."""
