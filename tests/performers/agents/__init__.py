"""Agents on the command line: their streams, their endings, and the real programs against a model server of ours."""
