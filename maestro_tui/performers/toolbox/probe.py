"""Run by another interpreter: prints as JSON what it is and which distributions it has. Standard library only."""

import json
import platform
import sys
from importlib import metadata

found = {}
for distribution in metadata.distributions():
    name = distribution.metadata["Name"]
    if name and name.lower() not in found:
        found[name.lower()] = distribution.version
json.dump(
    {
        "executable": sys.executable,
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "prefix": sys.prefix,
        "base_prefix": getattr(sys, "base_prefix", sys.prefix),
        "installed": found,
    },
    sys.stdout,
)
