"""What documents name: tests, as `tests/room/test_file.py::test_name`, and files of the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def named_tests(text: str) -> list[tuple[str, str]]:
    """The file and the function of each test that a text names."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)


def has_test(path: str, name: str) -> bool:
    """Whether a file of the repository has a test of that name."""
    file = ROOT / path
    return file.exists() and bool(re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE))


def paths_named(text: str) -> list[str]:
    """Each path below a folder of the repository that a text names; not those with WORDS to fill in."""
    folders = "|".join(re.escape(path.name) for path in ROOT.iterdir() if path.is_dir())
    found = re.findall(rf"(?<![\w/.-])((?:{folders})/[\w./-]*\w)", text)
    return sorted({path for path in found if not re.search(r"[A-Z]{4}", path)})
