"""What became of the mutants, for people to read."""

import json
import tomllib
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.mutants.making import Mutant

EXPLAINED = Path(__file__).with_name("explained.toml")
ENOUGH = 0.95  # of the mutants tried, caught or explained


def key(mutant: Mutant) -> str:
    """What a mutant is known by from one run to the next."""
    return sha256(mutant.diff.encode()).hexdigest()[:12]


def read(answers: Path) -> dict[str, dict[str, Any]]:
    """The last verdict on each mutant, by its key."""
    lines = answers.read_text().splitlines() if answers.exists() else []
    return {one["key"]: one for one in map(json.loads, lines)}


def explained() -> dict[tuple[str, str, str], str]:
    """Why a mutant is no fault, by its file, the lines that go and those that come."""
    entries = tomllib.loads(EXPLAINED.read_text()).get("mutant", [])
    return {(one["file"], one["goes"], one["comes"]): one["why"] for one in entries}


def write(mutants: list[Mutant], known: dict[str, dict[str, Any]], to: Path, seed: int) -> int:
    """Write the report, say the figures; returns 1 if too few were caught."""
    reasons = explained()
    count: Counter[str] = Counter()
    rest = []
    for mutant in mutants:
        found = known.get(key(mutant), {"verdict": "seen by no test"})
        why = reasons.get((mutant.name, *mutant.changed))
        verdict = "explained" if why and found["verdict"] != "caught" else found["verdict"]
        count[verdict] += 1
        if verdict not in {"caught", "timed out"}:
            rest.append(f"## {verdict}\n\n{why or ''}\n\n```diff\n{mutant.diff}\n```\n")
    good = count["caught"] + count["timed out"] + count["explained"]
    figures = ", ".join(f"{number} {verdict}" for verdict, number in count.most_common())
    told = f"{len(mutants)} mutants (seed {seed}): {figures}."
    to.write_text(f"# Mutants\n\n{told}\n\n" + "\n".join(rest))
    print(f"{told} See {to}")  # noqa: T201 - the command's answer
    return 0 if good >= ENOUGH * len(mutants) else 1
