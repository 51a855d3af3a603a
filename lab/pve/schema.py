"""Parameters are checked as the official schema says, in Proxmox's words."""

import functools
import json
import re
from pathlib import Path
from typing import Any

from .errors import BadParameters
from .formats import check_format

Json = dict[str, Any]
EXTRA = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"
NUMBERED = {"net": 32, "mp": 256, "dev": 256, "unused": 256}
TYPES = {"integer": r"[+-]?\d+", "number": r"[+-]?\d+(\.\d+)?", "boolean": r"[01]"}


class Schema:
    """The calls of one version of Proxmox."""

    def __init__(self, version: str) -> None:
        table = json.loads(Path(__file__).with_name(f"schema-{version}.json").read_text())
        self.kinds: list[Json] = [_expand(kind) for kind in table["kinds"]]
        self.calls: dict[str, Json] = table["calls"]

    def properties(self, call: str) -> dict[str, Json]:
        """Return what the call's parameters must be; `net[n]` stands for net0, net1 …"""
        return {name: self.kinds[number] for name, number in self.calls[call]["parameters"].items()}

    def check(self, call: str, given: Json) -> Json:
        """Return the parameters as numbers and strings. Raises BadParameters naming all that are wrong."""
        errors: dict[str, str] = {}
        found = check_object(self.properties(call), given, errors)
        if errors:
            raise BadParameters(errors)
        return found


@functools.cache
def schema_of(version: str) -> Schema:
    """Return the schema for a version such as "9.2.11"; the nearest of those that we have."""
    return Schema({"7": "7.4", "8": "8.4"}.get(version.partition(".")[0], "9.1"))


def check_object(properties: dict[str, Json], given: Json, errors: dict[str, str], prefix: str = "") -> Json:
    """Return the checked values; write down in `errors` what is wrong with which."""
    found: Json = {}
    for name, value in given.items():
        if value is None:  # JSON's null is nothing that was said
            continue
        kind = properties.get(name) or _numbered(properties, name)
        if kind is None:
            errors[prefix + name] = EXTRA
            continue
        try:
            found[name] = check_value(kind, value, prefix + name)
        except ValueError as error:
            errors[prefix + name] = str(error)
        needs = kind.get("requires")
        if needs and needs not in given:
            errors[prefix + needs] = f"missing property required by '{name}'"
    for name, kind in properties.items():
        if given.get(name) is None and "[n]" not in name and not kind.get("optional"):
            errors.setdefault(prefix + name, MISSING)
    return found


def check_value(kind: Json, value: Any, path: str) -> Any:
    """Return the value as number or string. Raises ValueError with Proxmox's words."""
    if kind.get("type") == "array":
        items = value if isinstance(value, list) else [value]
        return [str(item) for item in items]
    if isinstance(value, (list, dict)):
        name = "ARRAY" if isinstance(value, list) else "HASH"
        words = f"type check ('{kind.get('type', 'string')}') failed - got {name}"
        raise ValueError(words)  # noqa: TRY004 (it is what was typed that is wrong)
    whole = isinstance(value, bool) or (isinstance(value, float) and value.is_integer())
    text = str(int(value)) if whole else str(value)
    wanted = TYPES.get(kind.get("type", "string"))
    if wanted and not re.fullmatch(wanted, text, re.ASCII):
        raise ValueError(f"type check ('{kind['type']}') failed - got '{text}'")
    _check_text(kind, text, path)
    if not wanted:
        return text
    number = float(text) if "." in text else int(text)
    if kind.get("minimum") is not None and number < float(kind["minimum"]):
        raise ValueError(f"value must have a minimum value of {kind['minimum']}")
    if kind.get("maximum") is not None and number > float(kind["maximum"]):
        raise ValueError(f"value must have a maximum value of {kind['maximum']}")
    return number


def _check_text(kind: Json, text: str, path: str) -> None:
    if "format" in kind:
        try:
            if isinstance(kind["format"], dict):
                parse_properties(kind["format"], text, path)
            else:
                check_format(kind["format"], text)
        except ValueError as error:
            raise ValueError(f"invalid format - {error}") from error
    if "pattern" in kind and not re.fullmatch(kind["pattern"], text, re.ASCII):
        raise ValueError("value does not match the regex pattern")
    if "enum" in kind and text not in kind["enum"]:
        raise ValueError(
            f"value '{text}' does not have a value in the enumeration '{', '.join(kind['enum'])}'"
        )
    if len(text) < kind.get("minLength", 0):
        raise ValueError(f"value must be at least {kind['minLength']} characters long")
    if len(text) > kind.get("maxLength", len(text)):
        raise ValueError(f"value may only be {kind['maxLength']} characters long")


def parse_properties(properties: dict[str, Json], text: str, path: str = "") -> Json:
    """Return the parts of a property string such as "name=eth0,bridge=vmbr0". Raises ValueError."""
    default = next((name for name, kind in properties.items() if kind.get("default_key")), None)
    given: Json = {}
    for part in text.split(","):
        if not part.strip():
            continue
        key, equals, value = part.strip().partition("=")
        if not equals:
            if default is None:
                raise ValueError("value without key, but schema does not define a default key\n")
            key, value = default, key
        if key in given:
            raise ValueError(f"duplicate key in comma-separated list property: {key}\n")
        given[key] = value
    errors: dict[str, str] = {}
    found = check_object(properties, given, errors, f"{path}.")
    if errors:
        raise ValueError("format error\n" + "".join(f"{name}: {errors[name]}\n" for name in sorted(errors)))
    return found


def print_properties(properties: dict[str, Json], values: Json) -> str:
    """Return the property string as Proxmox writes it: the default part, what must be there, the rest."""

    def rank(name: str) -> tuple[bool, bool, str]:
        kind = properties[name]
        return (not kind.get("default_key"), bool(kind.get("optional")), name)

    return ",".join(
        str(values[name]) if properties[name].get("default_key") else f"{name}={values[name]}"
        for name in sorted(values, key=rank)
    )


def is_known(properties: dict[str, Json], name: str) -> bool:
    """Return whether a parameter has this name, `net[n]` standing for net0, net1 …"""
    return name in properties or _numbered(properties, name) is not None


def _numbered(properties: dict[str, Json], name: str) -> Json | None:
    match = re.fullmatch(r"([a-z]+)(0|[1-9]\d*)", name)
    if match and int(match[2]) < NUMBERED.get(match[1], 0):
        return properties.get(f"{match[1]}[n]")
    return None


def _expand(kind: Json) -> Json:
    if "mp[n]" not in kind.get("enum", ()):
        return kind
    words = [word for word in kind["enum"] if word != "mp[n]"]
    return {**kind, "enum": words + [f"mp{number}" for number in range(NUMBERED["mp"])]}
