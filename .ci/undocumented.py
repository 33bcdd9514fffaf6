"""Fails if a module's symbol graph has a public name without a comment.

The cases of an enumeration that only spells names, each once, need none."""

import json
import pathlib
import sys

SPELLING = {"IdempotencyKey.Field"}

missing = []
count = 0
for file in pathlib.Path(sys.argv[1]).glob("*.symbols.json"):
    graph = json.loads(file.read_text())
    for symbol in graph["symbols"]:
        if "::SYNTHESIZED::" in symbol["identifier"]["precise"]:
            continue
        parent = ".".join(symbol["pathComponents"][:-1])
        if symbol["kind"]["identifier"] == "swift.enum.case" and parent in SPELLING:
            continue
        count += 1
        if "docComment" not in symbol:
            place = symbol.get("location", {})
            line = place.get("position", {}).get("line", -1) + 1
            name = ".".join(symbol["pathComponents"])
            missing.append(f"{place.get('uri', file.name)}:{line}: {name} has no comment")
print("\n".join(missing), file=sys.stderr)
if missing or count == 0:
    sys.exit(f"{len(missing)} of {count} public names have no comment")
print(f"{count} public names, all with a comment")
