"""What the calls of Fabric 1 were given, and what came of them. Plain Python without Django.

Source: the Fabric documentation of 1.14, “Operations”, and of `run`, `put` and `get` today.
"""

from collections.abc import Iterator
from itertools import pairwise

from fabrun.python_2 import Change, Code

OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}
SPEAKING = {"run", "sudo", "local"}
# What the calls were given under names that are gone, and what is instead.
OF_A_COMMAND = {
    "warn_only": "“warn=…”",
    "quiet": "“hide=True, warn=True”",
    "capture": "“hide=True”",
    "combine_stderr": "nothing: leave it out",
    "shell_escape": "nothing: leave it out",
    "capture_buffer_size": "nothing: leave it out",
    "stdout": "“out_stream=…”",
    "stderr": "“err_stream=…”",
}
WORDS = {
    "run": {**OF_A_COMMAND, "shell": "nothing: leave it out"},
    "sudo": {**OF_A_COMMAND, "shell": "nothing: leave it out"},
    "local": OF_A_COMMAND,
    "put": {
        "local_path": "“local=…”",
        "remote_path": "“remote=…”",
        "use_sudo": 'c.sudo("mv …") of what was put',
        "mode": 'c.run("chmod …") of what was put',
        "mirror_local_mode": "“preserve_mode=…”",
        "use_glob": "a loop over glob.glob(…)",
        "temp_dir": "nothing: leave it out",
    },
    "get": {
        "local_path": "“local=…”",
        "remote_path": "“remote=…”",
        "use_sudo": 'c.sudo("cat …", hide=True).stdout',
        "temp_dir": "nothing: leave it out",
    },
    "task": {"alias": "“aliases=[…]”", "task_class": "nothing: leave it out"},
}
TEXT = ", and what it printed is “.stdout.strip()”"


def words_of(code: Code, at: int, name: str) -> Iterator[Change]:
    """What the call at this place is given by a name that is gone."""
    depth = 0
    for now in range(at + 1, len(code) - 1):
        (word, line), (after, _line) = code[now : now + 2]
        depth += (word in OPENING) - (word in CLOSING)
        if depth == 0:
            return
        if depth == 1 and after == "=" and word in WORDS.get(name, ()):
            yield line, f"{word}=…", WORDS[name][word]


def results(code: Code) -> Iterator[Change]:
    """What is asked of what came of a call by a name that is gone."""
    for (before, _line), (word, line) in pairwise(code):
        if (before, word) == (".", "succeeded"):
            yield line, ".succeeded", "“.ok”"


def classes(code: Code) -> Iterator[Change]:
    """Tasks that are classes, whose `run` nothing calls any more."""
    for at in range(len(code) - 3):
        (word, line), (name, _), (opening, _), (base, _) = code[at : at + 4]
        if (word, opening, base) == ("class", "(", "Task"):
            yield (
                line,
                f"class {name}(Task)",
                "a function that does what its “run” did, with “@task” above it",
            )


def text_of(code: Code, at: int, name: str) -> str:
    """What to add of a call where it does not stand alone: what came of it was a text, and is none any more."""
    start, line = at, code[at][1]
    while start > 1 and code[start - 1][0] == ".":
        start -= 2
    alone = start == 0 or code[start - 1][1] < line or code[start - 1][0] in {":", ";"}
    return TEXT if name in SPEAKING and not alone else ""
