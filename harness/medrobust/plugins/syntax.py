"""What the text of a module says without running it: its digest, what it imports and defines, which files it names."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

_ANCHORS: Final = frozenset({"__file__", "__path__", "__spec__", "resources", "get_data"})
"""Names by which a module finds what lies beside it."""
_LONGEST_NAME: Final = 255
"""Bytes; file systems take no longer one."""
_UNSTABLE: Final = frozenset({"kind", "type_comment"})
"""Fields of a syntax tree that say nothing of behaviour."""


@dataclass(frozen=True)
class Import:
    """One thing that a module takes from another one.

    Attributes:
        module: the other module, without leading dots.
        level: number of leading dots; 0 is an absolute import.
        name: what is taken: a name, `*`, or empty for the module itself.
        bound: the name it has here; empty where nothing is bound, as by `importlib.import_module`.
        renamed: whether `import a.b` is bound as a whole (`as`); otherwise `a` is bound.
        toplevel: whether the name is bound in the module rather than inside a function or class.
    """

    module: str
    level: int = 0
    name: str = ""
    bound: str = ""
    renamed: bool = False
    toplevel: bool = True


@dataclass
class Syntax:
    """What a module's text says.

    Attributes:
        digest: equal for equal code, whatever its comments, docstrings and layout.
        imports: everything it imports, inside functions too; what is there for type checkers only is left out.
        defines: names that it binds itself, at its top level, other than by imports.
        chains: attribute accesses as names, `("package", "module", "function")`.
        bare: names that are used otherwise than by their attributes.
        texts: string constants that may name a file.
        anchored: whether it finds files relative to itself (`__file__`, `importlib.resources`).
    """

    digest: str
    imports: list[Import] = field(default_factory=list)
    defines: set[str] = field(default_factory=set)
    chains: set[tuple[str, ...]] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    texts: dict[str, None] = field(default_factory=dict)
    anchored: bool = False

    def bindings(self, name: str) -> list[Import]:
        """The imports that give the module a name that others can take from it."""
        return [each for each in self.imports if each.toplevel and each.bound == name]


@lru_cache(maxsize=4096)
def read_syntax(text: bytes) -> Syntax:
    """Read a module's text; one that is not valid Python counts byte by byte and imports nothing."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return Syntax(hashlib.sha256(text).hexdigest()[:16])
    pieces: list[str] = []
    _write(tree, pieces)
    syntax = Syntax(hashlib.sha256("".join(pieces).encode(errors="surrogatepass")).hexdigest()[:16])
    _scan(tree, syntax, toplevel=True)
    return syntax


def _write(node: Any, pieces: list[str]) -> None:
    """Write a syntax tree as text that, unlike that of `ast.dump`, does not depend on the version of Python."""
    if isinstance(node, ast.AST):
        pieces.append(f"{type(node).__name__}(")
        for name, value in ast.iter_fields(node):
            # Fields that newer versions of Python added are empty where the code does not use them.
            if value is not None and value != [] and name not in _UNSTABLE:
                pieces.append(f"{name}=")
                _write(value, pieces)
        pieces.append(")")
    elif isinstance(node, list):
        pieces.append("[")
        for each in node:
            if not _is_documentation(each):
                _write(each, pieces)
                pieces.append(",")
        pieces.append("]")
    else:
        pieces.append(repr(node))


def _is_documentation(node: Any) -> bool:
    """Whether a statement is a string alone: a docstring, or the description of an attribute."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _scan(node: ast.AST, syntax: Syntax, *, toplevel: bool) -> None:
    if _is_documentation(node):
        return
    if isinstance(node, ast.If) and _names(node.test)[-1:] == ("TYPE_CHECKING",):
        for each in node.orelse:
            _scan(each, syntax, toplevel=toplevel)
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        found = list(_imports(node, toplevel))
        syntax.imports += found
        syntax.anchored |= any(_ANCHORS & {*each.module.split("."), each.name} for each in found)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if toplevel:
            syntax.defines.add(node.name)
        toplevel = False
    elif isinstance(node, ast.Lambda):
        toplevel = False
    elif isinstance(node, ast.Call):
        syntax.imports += _dynamic_import(node)
    elif isinstance(node, ast.Attribute):
        syntax.anchored |= node.attr in _ANCHORS
        if names := _names(node):
            syntax.chains.add(names)
            syntax.anchored |= names[0] in _ANCHORS
            return
    elif isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            syntax.bare.add(node.id)
        elif toplevel:
            syntax.defines.add(node.id)
        syntax.anchored |= node.id in _ANCHORS
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _may_be_a_path(node.value):
        syntax.texts[node.value] = None
    for child in ast.iter_child_nodes(node):
        _scan(child, syntax, toplevel=toplevel)


def _imports(node: ast.Import | ast.ImportFrom, toplevel: bool) -> Iterator[Import]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            bound = alias.asname or alias.name.partition(".")[0]
            yield Import(alias.name, 0, "", bound, alias.asname is not None, toplevel)
        else:
            yield Import(node.module or "", node.level, alias.name, alias.asname or alias.name, True, toplevel)


def _dynamic_import(node: ast.Call) -> Iterator[Import]:
    """`importlib.import_module("a.b")` and `__import__("a.b")`, where the name is written out."""
    called = _names(node.func)[-1:]
    if called not in (("import_module",), ("__import__",)) or not node.args:
        return
    first = node.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        name = first.value.lstrip(".")
        yield Import(name, len(first.value) - len(name))


def _names(node: ast.AST) -> tuple[str, ...]:
    """`a.b.c` as its names; empty for what is not made of names alone."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (before := _names(node.value)):
        return (*before, node.attr)
    return ()


def _may_be_a_path(text: str) -> bool:
    return text != "" and text.isprintable() and len(text.encode()) <= _LONGEST_NAME and not text.startswith(("/", "~"))
