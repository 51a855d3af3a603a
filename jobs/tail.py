"""The end of an output that is not kept whole. It is where a program says why it fails."""

from collections import deque

from jobs.masking import LineMaker, Masker, after_key

MOST_BYTES = 65_536  # of one stream: far more than a private key has
LAST_LINES = 100


class Tail:
    """Holds what came last, as it came, and masks no more than that: masking costs time by the length."""

    def __init__(self, masker: Masker, maker: LineMaker) -> None:
        """`maker` has what came before, and perhaps a part of a line or of a key."""
        self.lines_told = 0
        self._masker = masker
        self._maker = maker
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._torn = False

    def add(self, chunk: bytes) -> None:
        """What came."""
        self.lines_told += chunk.count(b"\n")
        self._chunks.append(chunk[-MOST_BYTES:])
        self._torn |= len(chunk) > MOST_BYTES
        self._size += len(self._chunks[-1])
        while self._size - len(self._chunks[0]) >= MOST_BYTES:
            self._size -= len(self._chunks.popleft())
            self._torn = True

    def lines(self) -> list[str]:
        """The last lines, masked. To be asked once, when nothing comes any more."""
        text = b"".join(self._chunks).decode(errors="replace")
        maker = self._maker
        if self._torn:  # where it begins is the middle of something
            maker, text = LineMaker(self._masker), after_key(text.partition("\n")[2])
        return [*maker.feed(text), *maker.finish()][-LAST_LINES:]
