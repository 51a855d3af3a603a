"""What a script that Python 3 reads says of itself, so that it gets no advice which it does not need. Plain Python.

Of a script that it cannot read nothing is known: that one has to change anyway.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

_VERSION = re.compile(r"\b(version_info|hexversion|python_version|PY2|PY3)\b|\bsys\.version\b")
_MISSING = re.compile(r"\b(ImportError|ModuleNotFoundError|NameError|AttributeError)\b")


@dataclass(frozen=True)
class Known:
    """What is known; `either` are the lines that run by the version of Python, `prints` those of Python 2's print."""

    is_read: bool
    names: frozenset[str] = frozenset()
    either: frozenset[int] = frozenset()
    prints: frozenset[int] = frozenset()


def known(text: str) -> Known:
    """What the script's own syntax tree says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(text)))
            return Known(
                True,
                frozenset(name for node in nodes for name in _names(node)),
                frozenset(line for node in nodes if _chooses(node) for line in _lines(node)),
                frozenset(
                    node.lineno for node in nodes if isinstance(node, ast.Expr) and _is_print(node.value)
                ),
            )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Known(False)


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]


def _chooses(node: ast.AST) -> bool:
    """Whether it does one thing with the one Python and another with the other."""
    if isinstance(node, ast.If | ast.IfExp):
        return bool(_VERSION.search(ast.unparse(node.test)))
    if isinstance(node, ast.BoolOp):
        return bool(_VERSION.search(ast.unparse(node.values[0])))
    if isinstance(node, ast.Try):
        kinds = [ast.unparse(handler.type) if handler.type else "" for handler in node.handlers]
        return any(_MISSING.search(kind) for kind in kinds)
    return False


def _lines(node: ast.AST) -> range:
    return range(getattr(node, "lineno", 0), (getattr(node, "end_lineno", 0) or 0) + 1)


def _is_print(value: ast.expr) -> bool:
    """Whether a statement is one of those of Python 2 that Python 3 reads, as something else: `print >> file, 1`."""
    if isinstance(value, ast.Call):
        return False
    first: ast.expr = value
    while isinstance(first, ast.Tuple | ast.BinOp | ast.Call):
        first = first.elts[0] if isinstance(first, ast.Tuple) and first.elts else _left(first)
    return isinstance(first, ast.Name) and first.id == "print"


def _left(value: ast.expr) -> ast.expr:
    if isinstance(value, ast.BinOp):
        return value.left
    return value.func if isinstance(value, ast.Call) else ast.Constant(None)
