"""Every setting that `settings.py` reads from the environment, found in its source: name, kind, default."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("settings.py")
SECRET_WORDS = ("SECRET", "KEYS", "PASS", "TOKEN")
URLS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL")  # may hold a password
NOT_SECRET = ("ALLOW_PLAIN_HTTP_KEYS",)


@dataclass(frozen=True)
class Setting:
    """A setting; `default` as the code has it, None where it is computed there."""

    name: str
    kind: str
    default: object = None

    @property
    def secret(self) -> bool:
        """Whether its value is not for the eyes of others."""
        if self.name in NOT_SECRET or self.kind in {"bool", "int"}:
            return False
        return self.name in URLS or any(word in self.name for word in SECRET_WORDS)


def every_setting() -> list[Setting]:
    """All of them, each once, by name."""
    # What is a secret of our own in one set-up and read as text in another is a secret.
    read = sorted(_read(ast.parse(SOURCE.read_text())), key=lambda setting: setting.kind == "secret")
    found = {setting.name: setting for setting in read}
    return sorted(found.values(), key=lambda setting: setting.name)


def _read(tree: ast.AST) -> Iterator[Setting]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = str(node.args[0].value)
        if isinstance(node.func, ast.Name) and node.func.id == "own_secret":
            yield Setting(name, "secret")
        elif (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
        ):
            given = [word.value for word in node.keywords if word.arg == "default"]
            yield Setting(name, node.func.attr, _literal(given[0]) if given else None)


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
