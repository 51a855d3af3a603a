"""Write schema-*.json from Proxmox's published API schema: python -m lab.pve.make_schema FILE VERSION.

The input is `apidata.js` of proxmox/pve-docs with its JavaScript wrapper removed. Only facts are taken over,
and only of the calls that we answer: names, types, formats, limits, plain defaults, and the rights asked for.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .calls import CALLS

FACTS = "type format enum pattern minimum maximum minLength maxLength optional requires default default_key"
Json = dict[str, Any]


def published(node: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield every call of the published tree: "GET /version", and what is said about it."""
    for item in node:
        for method, info in item.get("info", {}).items():
            yield f"{method} {item['path']}", info
        yield from published(item.get("children", []))


def facts(parameter: Json) -> Json:
    """Return what a parameter must be, without a word of its description."""
    kept = {key: parameter[key] for key in FACTS.split() if key in parameter}
    if isinstance(kept.get("format"), dict):
        kept["format"] = {name: facts(part) for name, part in kept["format"].items()}
    if "enum" in kept:
        kept["enum"] = [word for word in kept["enum"] if not word.startswith("mp")] + [
            "mp[n]" for word in kept["enum"] if word == "mp0"
        ]
    if "pattern" in kept:
        kept["pattern"] = kept["pattern"].replace("(?^:", "(?:")
    if isinstance(kept.get("default"), str) and " " in kept["default"]:
        del kept["default"]
    return kept


def compact(tree: list[Json]) -> Json:
    """Return our table: each parameter once, and the calls that refer to them by number."""
    kinds: list[Json] = []
    calls: Json = {}
    for name, info in published(tree):
        if name not in CALLS:
            continue
        parameters = {}
        for parameter, said in sorted(info["parameters"].get("properties", {}).items()):
            kind = facts(said)
            if kind not in kinds:
                kinds.append(kind)
            parameters[parameter] = kinds.index(kind)
        call = {"parameters": parameters, "may": info.get("permissions", {}).get("user", "root")}
        if check := info.get("permissions", {}).get("check"):
            call["may"] = check
        if info.get("proxyto") == "node":
            call["proxy"] = True
        if not info.get("allowtoken", 1):
            call["no_token"] = True
        calls[name] = call
    return {"kinds": kinds, "calls": calls}


def write(table: Json, path: Path) -> None:
    """Write one line for each parameter and each call, so that versions compare well."""
    kinds = ",\n".join(json.dumps(kind, sort_keys=True) for kind in table["kinds"])
    calls = ",\n".join(f"{json.dumps(name)}: {json.dumps(call)}" for name, call in table["calls"].items())
    path.write_text(f'{{"kinds": [\n{kinds}\n],\n"calls": {{\n{calls}\n}}}}\n')


if __name__ == "__main__":
    source, version = sys.argv[1:]
    tree = json.loads(Path(source).read_text())
    write(compact(tree), Path(__file__).with_name(f"schema-{version}.json"))
