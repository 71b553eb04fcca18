"""Run by a clean environment's Python: says what an installed distribution brought. Standard library only.

Its only argument is the distribution's name. Prints as JSON the modules to import and the console scripts.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import PurePosixPath

distribution = metadata.distribution(sys.argv[1])
files = [PurePosixPath(str(file)) for file in distribution.files or ()]
suffixes = (".py", ".so", ".pyd")
packages = {file.parent for file in files if file.name == "__init__.py"}
modules = set()
for file in files:
    if not file.name.endswith(suffixes) or ".." in file.parts:
        continue
    # The outermost folder with an __init__.py; a module that lies in none is imported by itself.
    chain = [folder for folder in reversed(file.parents) if folder in packages]
    parts = chain[0].parts if chain else (*file.parent.parts, file.name.split(".", 1)[0])
    if parts and all(part.isidentifier() for part in parts):
        modules.add(".".join(parts))
json.dump(
    {
        "name": distribution.metadata["Name"],
        "version": distribution.version,
        "modules": sorted(modules),
        "scripts": sorted(e.name for e in distribution.entry_points if e.group == "console_scripts"),
        "requires": distribution.requires or [],
    },
    sys.stdout,
)
