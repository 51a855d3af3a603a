"""A document that is walked: what it says is read, and done by the functions that know its blocks.

A block is a paragraph, a point of a list, or what stands between fences. Of a block **bold** words are what is clicked,
in this order, and `code` that begins with a program is run. Each block has one function, found by the block's own text:
who changes the text has to look at what is tried of it.
"""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.demo import Demo
from tests.browser.enlisted import send
from tests.panel import ROOT, Panel

PROGRAMS = ("curl ", "ssh ", ".venv/bin/")
# The document's ssh asks nothing, knows no host yet, and says where it is instead of opening a shell.
QUIET_SSH = """
ssh() {{
  command ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o ConnectTimeout=20 \
    -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={folder}/known "$@" hostname
}}
"""


@dataclass(frozen=True)
class Block:
    """A paragraph, point or piece of code of a document, under its heading."""

    heading: str
    text: str
    is_code: bool = False

    @property
    def clicks(self) -> list[str]:
        """The words in bold; of a way (**A → B**) each of its steps."""
        return [word for way in re.findall(r"\*\*(.+?)\*\*", self.text) for word in way.split(" → ")]

    @property
    def commands(self) -> list[str]:
        """What is to be run in a shell."""
        if self.is_code:
            return self.text.splitlines()
        return [code for code in re.findall(r"`([^`]+)`", self.text) if code.startswith(PROGRAMS)]


def blocks(path: str) -> list[Block]:
    """The blocks of a document of the repository, in their order."""
    heading, fenced = "", False
    lines: list[str] = []
    found: list[Block] = []

    def end(is_code: bool = False) -> None:
        if lines:
            found.append(Block(heading, ("\n" if is_code else " ").join(lines), is_code))
            lines.clear()

    for line in (ROOT / path).read_text().splitlines():
        if line.startswith("```"):
            end(fenced)
            fenced = not fenced
        elif fenced:
            lines.append(line)
        elif line.startswith("#"):
            end()
            heading = line.lstrip("# ")
        else:
            if not line.strip() or re.match(r"- |\d+\. ", line):
                end()
            lines.extend([line.strip()] if line.strip() else [])
    end()
    return found


class Walk:
    """Somebody with a browser and a shell, in front of the demo."""

    def __init__(self, page: Page, demo: Demo, folder: Path) -> None:
        self.page, self.demo, self.folder = page, demo, folder
        self.panel: Panel | None = None  # where it is another than the demo's
        self.main = page.locator("main")

    def sign_in(self) -> None:
        """As the demo says."""
        self.page.goto(self.demo.url)
        self.page.get_by_label("User name").fill(self.demo.user)
        self.page.get_by_label("Password").fill(self.demo.password)
        send(self.page, self.page.get_by_role("button", name="Sign in"))

    def click(self, *labels: str, where: Locator | None = None) -> None:
        """What bears these words, one after the other: by all of its name, else by its beginning within the page."""
        for label in labels:
            named = self._links_and_buttons(where or self.page, label, exact=True)
            begun = self._links_and_buttons(
                where or self.main, re.compile("^" + re.escape(label).replace("/", r"\/"))
            )
            expect(named.or_(begun).first).to_be_visible()
            found = (named if named.count() else begun).first
            if found.get_attribute("type") == "submit" or found.evaluate("e => Boolean(e.form)"):
                send(self.page, found)
            else:
                found.click()
                self.page.wait_for_load_state()

    def _links_and_buttons(
        self, where: Locator | Page, name: str | re.Pattern[str], *, exact: bool = False
    ) -> Locator:
        return where.get_by_role("link", name=name, exact=exact).or_(
            where.get_by_role("button", name=name, exact=exact)
        )

    def open_server(self, name: str) -> None:
        """The page of a server, by the list."""
        self.click("Servers", name)
        expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_visible()

    def run(self, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of the document, with its files in this walk's folder and the demo's own addresses."""
        own = self.demo.at_its_own_addresses(command).replace("/tmp/", f"{self.folder}/")
        return subprocess.run(
            ["bash", "-c", QUIET_SSH.format(folder=self.folder) + own],
            cwd=ROOT,
            env=self.demo.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def says(self, *words: str) -> None:
        """The page says each of these, at once or by itself."""
        for word in words:
            expect(self.main).to_contain_text(word)


Trial = Callable[[Walk, Block], None]


class Trials:
    """The functions that try blocks, by the text of each."""

    def __init__(self) -> None:
        self._by_text: dict[str, Trial] = {}

    def of(self, text: str) -> Callable[[Trial], Trial]:
        """Marks the function that tries the block with this text."""

        def mark(trial: Trial) -> Trial:
            self._by_text[_squeezed(text)] = trial
            return trial

        return mark

    def check(self, said: list[Block]) -> None:
        """Fails when a block is known to no function, or a function's block is gone."""
        told = {_squeezed(block.text) for block in said}
        assert told - set(self._by_text) == set(), "nothing tries these; write it, or mend what does"
        assert set(self._by_text) - told == set(), "these are tried, but not said any more"

    def walk(self, walk: Walk, block: Block) -> None:
        """Try this block."""
        self._by_text[_squeezed(block.text)](walk, block)


def _squeezed(text: str) -> str:
    return " ".join(text.split())
