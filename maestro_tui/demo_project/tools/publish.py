"""Seals the release: a SHA-256 of every file that it holds."""

import hashlib
from pathlib import Path

from step import SOURCES, deliver, result

files = [*SOURCES, Path("build/NOTES.md")]
sums = {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
deliver("SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in sums.items()))
result(outputs={"sha256": sums}, summary=f"{len(sums)} files sealed")
