"""What a work gets to tell about itself: steps, lines, progress; and to learn that it should stop.

Nothing here writes to the database by itself: the worker's pulse does (`jobs/pulse.py`), so that a work may
hold a transaction of its own open while it logs.
"""

import codecs
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import meter
from jobs.masking import LineMaker, Masker
from jobs.models import Job, JobState
from jobs.tail import LAST_LINES, Tail

MOST_LINES = 50_000  # kept of one run, and its last ones; a work that talks on does not fill the disk
MOST_CHARACTERS = 10_000_000  # of all of them


class Stopped(Exception):  # noqa: N818 - a person's wish, no error
    """Somebody asked the job to stop, and it did."""


class Postponed(Exception):  # noqa: N818 - a work's wish, no error
    """A work wants to be called again after so many seconds, from its beginning; no worker is held until then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(0.0, seconds)
        super().__init__(f"again in {self.seconds:g} s")


@dataclass
class Step:
    """A step that began, and perhaps ended."""

    number: int
    name: str
    started_at: datetime
    state: JobState = JobState.RUNNING
    ended_at: datetime | None = None
    pk: int | None = None  # of its row, once it is saved


@dataclass
class Line:
    """A line to be saved."""

    at: datetime
    stream: str
    text: str
    step: Step | None


@dataclass
class News:
    """What has not been saved yet."""

    lines: list[Line] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    progress: tuple[int, int] | None = None

    def __bool__(self) -> bool:
        return bool(self.lines or self.steps or self.progress)


class Run:
    """One attempt at a job. Safe to use from several threads of the work."""

    def __init__(self, job: Job, secrets: Masker, first_step: int = 1) -> None:
        self.job = job
        self.attempt = job.attempt
        self.secrets = secrets
        self.interrupted = False  # the worker ends
        self.lost = False  # somebody else has given up on this attempt, or taken it over
        self.saving = threading.Lock()  # held while news are being saved, so that they stay in order
        self._stop = threading.Event()
        self._stop_callbacks: list[Callable[[], object]] = []
        self._lock = threading.RLock()
        self._makers: dict[str, LineMaker] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._tails: dict[str, Tail] = {}
        self._late: deque[Line] = deque(maxlen=LAST_LINES)
        self._news = News()
        self._steps: list[Step] = []
        self._next_step = first_step
        self._lines_told = self._lines_kept = self._characters = 0

    @contextmanager
    def step(self, name: object) -> Iterator[None]:
        """A named part of the job; lines within it belong to it. Ends as the block ends. May be nested."""
        self.check_stop()
        with self._lock:
            self._finish_lines()
            step = Step(self._next_step, self.secrets.mask(str(name))[:200], timezone.now())
            self._next_step += 1
            self._steps.append(step)
            self._news.steps.append(step)
        outcome = JobState.FAILED
        try:
            yield
            outcome = JobState.DONE
        except Stopped:
            outcome = JobState.STOPPED
            raise
        finally:
            with self._lock:
                self._finish_lines()
                step.state = JobState.STOPPED if outcome == JobState.FAILED and self.stopping else outcome
                step.ended_at = timezone.now()
                self._steps.remove(step)
                self._news.steps.append(step)

    def log(self, text: object, stream: str = "info") -> None:
        """Write whole lines: what the work has to say ("info"), or a command's output ("out", "err")."""
        with self._lock:
            maker = self._maker(stream)
            if self._full:
                self._tail(stream).add(f"{text}\n".encode(errors="replace"))
            else:
                self._keep(stream, [*maker.finish(), *maker.feed(f"{text}\n")])

    def output(self, stream: str, chunk: bytes) -> None:
        """Write a piece of a command's output as it came; fits `Host.run(on_output=run.output)`."""
        with self._lock:
            if self._full:
                self._tail(stream).add(chunk)
                return
            if stream not in self._decoders:
                self._decoders[stream] = codecs.getincrementaldecoder("utf-8")(errors="replace")
            self._keep(stream, self._maker(stream).feed(self._decoders[stream].decode(chunk)))

    def end_lines(self) -> None:
        """Let go of what waits for its line end."""
        with self._lock:
            self._finish_lines()

    def progress(self, done: int, total: int) -> None:
        """How far it is, in any unit; call it as often as you like."""
        with self._lock:
            self._news.progress = (max(0, int(done)), max(0, int(total)))

    @property
    def stopping(self) -> bool:
        """Whether the work should end now; known within a second of the button."""
        return self._stop.is_set()

    def check_stop(self) -> None:
        """Raises Stopped if the work should end now. Call it between things that can be left half-way."""
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep, but raise Stopped as soon as the work should end."""
        with meter.outside():  # whoever waits asks something outside again and again
            stop = self._stop.wait(seconds)
        if stop:
            raise Stopped

    @contextmanager
    def on_stop(self, callback: Callable[[], object]) -> Iterator[None]:
        """Within the block, Stop also calls this, from another thread: close what the work is blocked on."""
        with self._lock:
            self._stop_callbacks.append(callback)
            late = self._stop.is_set()
        try:
            if late:
                raise Stopped
            yield
        finally:
            with self._lock:
                self._stop_callbacks.remove(callback)

    # From here on: for the worker, not for works.

    def ask_stop(self) -> list[Callable[[], object]]:
        """Tell the work to end; returns the callbacks to call, once."""
        with self._lock:
            if self._stop.is_set():
                return []
            self._stop.set()
            return list(self._stop_callbacks)

    def take_news(self) -> News:
        """What is to be saved, in order; the caller gives it back if he cannot."""
        with self._lock:
            news, self._news = self._news, News()
            return news

    def give_back(self, news: News) -> None:
        """Put unsaved news back in front."""
        with self._lock:
            self._news.lines[:0] = news.lines
            self._news.steps[:0] = news.steps
            self._news.progress = self._news.progress or news.progress

    def finish(self) -> None:
        """Nothing more will be written: let go of what waits for its line end."""
        with self._lock:
            self._finish_lines()
            last = [*self._late, *(line for stream in self._tails for line in self._last_of(stream))]
            told = self._lines_told + sum(tail.lines_told for tail in self._tails.values())
            if (left_out := told - self._lines_kept - len(last)) > 0:
                text = _("%d more lines were not kept. The last ones:") % left_out
                self._news.lines.append(Line(timezone.now(), "info", text, None))
            self._news.lines += last

    def _maker(self, stream: str) -> LineMaker:
        if stream not in ("info", "out", "err"):
            raise ValueError(f"A line's stream is info, out or err, not {stream}.")
        return self._makers.setdefault(stream, LineMaker(self.secrets))

    def _tail(self, stream: str) -> Tail:
        if stream not in self._tails:
            self._tails[stream] = Tail(self.secrets, self._maker(stream))
        return self._tails[stream]

    def _last_of(self, stream: str) -> list[Line]:
        return [Line(timezone.now(), stream, text, None) for text in self._tails[stream].lines()]

    def _finish_lines(self) -> None:
        for stream, maker in self._makers.items():
            if stream not in self._tails:
                self._keep(stream, maker.finish())

    @property
    def _full(self) -> bool:
        return self._lines_told > MOST_LINES or self._characters > MOST_CHARACTERS

    def _keep(self, stream: str, lines: list[str]) -> None:
        step = self._steps[-1] if self._steps else None
        now = timezone.now()
        for text in lines:
            self._lines_told += 1
            self._characters += len(text)
            line = Line(now, stream, text, step)
            if self._full:
                self._late.append(line)
            else:
                self._lines_kept += 1
                self._news.lines.append(line)
