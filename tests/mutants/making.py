"""Makes mutants: the code with one small fault. The operators are mutmut's and five of our own, on libcst's trees."""

import difflib
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

Operator = Callable[[Any], Iterable[cst.CSTNode]]
WORDS = {
    "_",
    "gettext",
    "gettext_lazy",
    "ngettext",
    "format_html",
}  # sentences for people may say it otherwise


def _without_operand(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    yield node.left
    yield node.right


def _other_way(node: cst.If) -> Iterator[cst.CSTNode]:
    inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(
        test=cst.UnaryOperation(cst.Not(), inner), whitespace_before_test=cst.SimpleWhitespace(" ")
    )


def _unconditioned(node: cst.CompFor) -> Iterator[cst.CSTNode]:
    if node.ifs:
        yield node.with_changes(ifs=[])


def _returned_nothing(node: cst.Return) -> Iterator[cst.CSTNode]:
    if node.value is not None:
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


def _left_out(node: cst.SimpleStatementLine) -> Iterator[cst.CSTNode]:
    first = node.body[0]
    if isinstance(first, cst.Raise) or (
        isinstance(first, cst.Expr) and not isinstance(first.value, cst.BaseString)
    ):
        yield node.with_changes(body=[cst.Pass()])


OPERATORS: list[tuple[type, Operator]] = [
    *mutation_operators,
    (cst.BooleanOperation, _without_operand),
    (cst.If, _other_way),
    (cst.CompFor, _unconditioned),
    (cst.Return, _returned_nothing),
    (cst.SimpleStatementLine, _left_out),
]


@dataclass(frozen=True)
class Mutant:
    """One small fault: `name` is the file, `first` and `last` its lines, `inside` whether it lies in a function."""

    name: str
    first: int
    last: int
    inside: bool
    module: cst.Module
    old: cst.CSTNode
    new: cst.CSTNode

    @cached_property
    def source(self) -> str:
        """The whole file with the fault."""
        changed = self.module.deep_replace(self.old, self.new)
        assert isinstance(changed, cst.Module)
        return changed.code

    @cached_property
    def diff(self) -> str:
        """The fault as unified text."""
        was, now = (text.splitlines() for text in (self.module.code, self.source))
        return "\n".join(difflib.unified_diff(was, now, self.name, self.name, lineterm="", n=2))

    @property
    def changed(self) -> tuple[str, str]:
        """The lines that go and those that come, each without its indentation: stays while code around it moves."""
        lines = self.diff.splitlines()[3:]
        return tuple(  # type: ignore[return-value]
            "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
        )


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, name: str, module: cst.Module, only: frozenset[str]) -> None:
        super().__init__()
        self.name, self.module, self.only = name, module, only
        self.depth = 0 if only else 1  # below 1: in nothing that was chosen
        self.functions = 0
        self.found: list[list[Mutant]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Decorator, cst.Import, cst.ImportFrom)) or _is_words(node):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self.depth += node.name.value in self.only
        if self.depth > 0:
            self._mutate(node)
        if isinstance(node, cst.Raise):
            return False  # that it is raised is what counts, not its words
        self.functions += isinstance(node, cst.FunctionDef)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self.depth -= original_node.name.value in self.only
        self.functions -= isinstance(original_node, cst.FunctionDef)

    def _mutate(self, node: cst.CSTNode) -> None:
        lines = self.get_metadata(PositionProvider, node, None)
        if lines is None:
            return
        last = lines.start.line if isinstance(node, cst.If) else lines.end.line
        here = [
            Mutant(self.name, lines.start.line, last, self.functions > 0, self.module, node, new)
            for kind, operator in OPERATORS
            if isinstance(node, kind)
            for new in operator(node)
        ]
        if here:
            self.found.append(here)


def _is_words(node: cst.CSTNode) -> bool:
    """Whether it is a sentence for people, or the list of what a module offers."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
        return node.func.value in WORDS
    if isinstance(node, cst.Assign):
        target = node.targets[0].target
        return isinstance(target, cst.Name) and target.value == "__all__"
    return False


def places(name: str, source: str, only: frozenset[str] = frozenset()) -> list[list[Mutant]]:
    """The mutants of a file, those of one place together; `only`: in functions and classes of these names."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder(name, wrapper.module, only)
    wrapper.visit(finder)
    return finder.found


def sample(files: Iterable[list[list[Mutant]]], size: int, seed: int) -> list[Mutant]:
    """One mutant of each of `size` places, the same ones for the same seed; each file has its share.

    Each file has a chance of its own, so that a change in one leaves the mutants of the others.
    """
    ranked: list[tuple[float, Mutant]] = []
    for found in filter(None, files):
        chance = random.Random(f"{seed} {found[0][0].name}")
        chance.shuffle(found)
        ranked += [
            ((rank + chance.random()) / len(found), chance.choice(place)) for rank, place in enumerate(found)
        ]
    ranked.sort(key=lambda one: one[0])
    good = (one for _share, one in ranked if one.source != one.module.code and _compiles(one))
    return list(islice(good, size))


def _compiles(mutant: Mutant) -> bool:
    try:
        compile(mutant.source, mutant.name, "exec")
    except SyntaxError:
        return False
    return True
