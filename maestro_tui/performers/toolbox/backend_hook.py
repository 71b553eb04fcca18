"""Run by the build environment's Python: calls one PEP 517 hook of a project's backend. Standard library only.

Its only argument is a JSON file {"source", "backend", "backend_path", "hook", "args", "result"}; what the hook
returns goes to the file `result`, so that whatever the backend prints cannot be mistaken for it.
"""

import importlib
import json
import os
import sys
from pathlib import Path

request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
os.chdir(request["source"])
# The folder of this script must not be importable from; the project's own backend folders come first.
sys.path[0:1] = [str(Path(part).resolve()) for part in request["backend_path"]]
module_name, _, attributes = request["backend"].partition(":")
backend = importlib.import_module(module_name)
for attribute in filter(None, attributes.split(".")):
    backend = getattr(backend, attribute)
hook = getattr(backend, request["hook"], None)
value = hook(*request["args"]) if hook is not None else None
Path(request["result"]).write_text(json.dumps({"there": hook is not None, "value": value}), encoding="utf-8")
