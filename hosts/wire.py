"""How the panel and its script on the host speak: lines, and strings that may hold any byte but NUL.

A string is a line with the number of newlines in it, then its bytes and a newline; a shell reads that without a fork.
"""

from pathlib import Path

from hosts.bounds import ENTRIES

MOST_DIGITS = 18  # of a number: sizes and counts fit into 64 bits


def text(value: str | bytes, *, rooted: bool = False) -> bytes:
    """Encode a string; `rooted` marks a path that lies below the host's root folder (which MemoryHost moves)."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    return b"%s%d\n%s\n" % (b"r" if rooted else b"", data.count(b"\n"), data)


def lines(*values: object) -> bytes:
    """Encode plain lines: names, numbers, words without newlines."""
    return b"".join(b"%s\n" % str(value).encode() for value in values)


class Garbled(ValueError):  # noqa: N818 - turned into a HostError where it is caught
    """The host's answer is not in the form that was agreed."""


class Reader:
    """Takes an answer apart from its beginning; raises Garbled when it ends too early."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def line(self) -> str:
        """Give the next line, without its newline."""
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Garbled(self.data[self.at :][:200].decode(errors="replace"))
        value = self.data[self.at : end]
        self.at = end + 1
        return value.decode(errors="surrogateescape")

    def number(self) -> int:
        """Give the next line as a number."""
        line = self.line()
        if not (line.isascii() and line.isdecimal() and len(line) <= MOST_DIGITS):
            raise Garbled(line[:200])
        return int(line)

    def count(self) -> int:
        """Give the next line as the number of things that follow; no host has more than bounds.ENTRIES."""
        number = self.number()
        if number > ENTRIES:
            raise Garbled(f"{number} entries")
        return number

    def text(self) -> bytes:
        """Give the next string."""
        newlines, start = self.number(), self.at
        for _ in range(newlines + 1):
            end = self.data.find(b"\n", self.at)
            if end < 0:
                raise Garbled(self.data[start:][:200].decode(errors="replace"))
            self.at = end + 1
        return self.data[start : self.at - 1]

    def path(self) -> str:
        """Give the next string as a path."""
        return self.text().decode(errors="surrogateescape")

    def take(self, size: int) -> bytes:
        """Give the next `size` bytes."""
        value = self.data[self.at : self.at + size]
        if len(value) != size:
            raise Garbled("cut off")
        self.at += size
        return value

    @property
    def done(self) -> bool:
        """Whether all is read."""
        return self.at >= len(self.data)


def _script() -> str:
    """Give the host's script: the files of remote/ in order, without comments and indentation."""
    parts = sorted((Path(__file__).parent / "remote").glob("*.sh"))
    whole = "\n".join(part.read_text() for part in parts)
    stripped = (line.strip() for line in whole.split("\n"))
    return "\n".join(line for line in stripped if line and not line.startswith("#"))


SCRIPT = _script()
# eval, so that the script has its own text and can leave it on the host for the undo timer
ARGV = ("sh", "-c", 'eval "$1"', "gestion", SCRIPT)
