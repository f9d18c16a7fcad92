"""The source of a plugin as part of its identity: an edit of what it runs takes effect, another one does not."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType

from ..contracts import Plugin
from ..errors import PluginError
from .data_files import data_files, file_hash
from .homes import CORE, Home, Module
from .syntax import Import, Syntax, read_syntax


@cache
def source_hash(plugin: type[Plugin]) -> str:
    """`r3` for a revision that the class itself declares, else a hash of the source that it and its bases depend on.

    A class without a revision contributes the module that defines it and, transitively, what that imports from its own
    distribution or from beside its file, and the data files these name; then its bases follow, each with its revision
    or its source. Standard library, medrobust itself and other distributions do not count.

    Raises:
        PluginError: if the source of a class cannot be found.
    """
    own = vars(plugin).get("revision")
    if own is not None:
        return f"r{own}"
    return "+".join(dict.fromkeys(_parts(plugin, Home.of(plugin.__module__))))


def code_hash(cls: type) -> str:
    """A hash of the source that any class depends on, such as that of a network; found as for a plugin.

    Raises:
        PluginError: if its source cannot be found.
    """
    try:
        inspect.getsource(cls)  # a class may name a module whose file does not define it: one that was typed in
    except (OSError, TypeError) as error:
        raise PluginError(f"the source of {cls.__module__}.{cls.__qualname__} cannot be found") from error
    return _source_of(cls)


def dependencies(name: str) -> tuple[Home, tuple[str, ...]] | None:
    """Where the code of an imported module is, and what it depends on there; None if it has no file.

    Returns:
        The home, and the names of modules (`a.b`), of what packages define (`a:c`), and of data files beside modules
        (`a.b/0/text`).
    """
    home = Home.of(name)
    module = home.find(name) if home is not None else None
    if home is None or module is None or module.file is None:
        return None
    closure = _Closure(home)
    closure.digest(module)
    return home, tuple(sorted(closure.found))


def _parts(cls: type, home: Home | None) -> Iterator[str]:
    """What a class contributes, then its bases; `home` is that of the plugin, whose helpers count as well."""
    top = cls.__module__.partition(".")[0]
    if top == CORE or top in sys.stdlib_module_names:
        return
    if issubclass(cls, Plugin):
        home = Home.of(cls.__module__)
        if (revision := vars(cls).get("revision")) is not None:
            yield f"{top}.{cls.__qualname__}:r{revision}"
            return
    elif home is None or not home.owns(top):
        return
    yield _source_of(cls)
    for base in cls.__bases__:
        yield from _parts(base, home)


def _source_of(cls: type) -> str:
    if (found := _closure(sys.modules.get(cls.__module__))) is not None:
        return found
    try:
        return read_syntax(inspect.getsource(cls).encode()).digest
    except (OSError, TypeError):
        raise PluginError(
            f"the source of {cls.__module__}.{cls.__qualname__} cannot be found, so that an edit of it would go "
            "unnoticed; declare `revision: ClassVar[int] = 1` in it and raise that when its behaviour changes"
        ) from None


@cache
def _closure(loaded: ModuleType | None) -> str | None:
    """A hash of all that a module depends on, as of its import: a local file that is loaded again is another module."""
    home = Home.of(loaded.__name__) if loaded is not None else None
    module = home.find(loaded.__name__) if home is not None and loaded is not None else None
    if home is None or module is None or module.file is None:
        return None
    return _Closure(home).digest(module)


class _Closure:
    """Follows imports from one module on and collects what counts."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.found: dict[str, str] = {}
        self._waiting: list[Module] = []
        self._taken: set[tuple[str, str]] = set()

    def digest(self, module: Module) -> str:
        """A hash of all code and data that a module depends on."""
        self.whole(module)
        while self._waiting:
            each = self._waiting.pop()
            syntax = _syntax(each)
            for imported in syntax.imports:
                self.follow(each, imported, syntax)
            for text, content in data_files(each, syntax, self.home):
                self.found[f"{each.name}/{text}"] = content
        # What a package or a local file is called makes no difference.
        own = self.home.top
        named = ((name.removeprefix(own) if _is_in(name, own) else name, found) for name, found in self.found.items())
        return _digest(*(f"{name}={content}" for name, content in sorted(named)))

    def whole(self, module: Module) -> None:
        """A module counts, and everything that it imports."""
        if module.file is None or module.name in self.found:
            return
        self.found[module.name] = file_hash(module.file)
        if module.file.suffix == ".py":
            self._waiting.append(module)

    def follow(self, module: Module, imported: Import, syntax: Syntax) -> None:
        """Follow one import of a module."""
        name = _absolute(module, imported)
        target = self.home.find(name) if name else None
        if target is None:
            return
        if imported.name == "*":
            self.whole(target)
        elif imported.name:
            inner = self.home.find(f"{target.name}.{imported.name}") if target.folders else None
            if inner is not None and inner.folders and not _syntax(target).bindings(imported.name):
                self.used(inner, imported.bound, syntax)
            else:
                self.take(target, imported.name)
        elif imported.bound and not imported.renamed and "." in name:
            # `import a.b` binds `a`; what is used of `a` may lie beside `b`.
            if not target.folders:
                self.whole(target)
            top = self.home.find(imported.bound)
            if top is not None and any(chain[0] == imported.bound for chain in syntax.chains):
                self.used(top, imported.bound, syntax)
            else:
                self.whole(target)
        else:
            self.used(target, imported.bound, syntax)

    def used(self, module: Module, bound: str, syntax: Syntax) -> None:
        """Follow what is used of a module that is bound to a name: all of it, where that cannot be seen."""
        uses = [chain[1:] for chain in syntax.chains if chain[0] == bound]
        if not module.folders or not uses or bound in syntax.bare:
            self.whole(module)
            return
        for names in uses:
            self.reach(module, names)

    def reach(self, module: Module, names: tuple[str, ...]) -> None:
        """Follow `names` from a module on: submodules, then what is defined in the last of them."""
        if not module.folders or not names:
            self.whole(module)
            return
        inner = self.home.find(f"{module.name}.{names[0]}")
        if inner is not None and not _syntax(module).bindings(names[0]):
            self.reach(inner, names[1:])
        else:
            self.take(module, names[0])

    def take(self, module: Module, name: str) -> None:
        """Follow one name of a module; of a package, only what the name refers to."""
        if not module.folders:
            self.whole(module)
            return
        if (module.name, name) in self._taken:
            return
        self._taken.add((module.name, name))
        syntax = _syntax(module)
        bindings = syntax.bindings(name)
        inner = self.home.find(f"{module.name}.{name}")
        if bindings:
            self.found[f"{module.name}:{name}"] = repr([(i.module, i.level, i.name) for i in bindings])
            for each in bindings:
                self.follow(module, each, syntax)
        if inner is not None:
            self.whole(inner)
        if name in syntax.defines:
            self.whole(module)
        elif not bindings and inner is None:
            self._from_stars(module, name, syntax)

    def _from_stars(self, module: Module, name: str, syntax: Syntax) -> None:
        """A name that a package does not spell out comes from a `*` import, or from somewhere that cannot be seen."""
        for each in syntax.bindings("*"):
            absolute = _absolute(module, each)
            source = self.home.find(absolute) if absolute else None
            if source is not None and (name in _syntax(source).defines or _syntax(source).bindings(name)):
                self.found[f"{module.name}:{name}"] = f"* of {source.name}"
                self.take(source, name)
                return
        self.whole(module)


def _is_in(name: str, top: str) -> bool:
    return name.startswith(top) and name[len(top) : len(top) + 1] in ("", ".", ":", "/")


def _syntax(module: Module) -> Syntax:
    if module.file is None or module.file.suffix != ".py":
        return Syntax("")
    return read_syntax(module.file.read_bytes())


def _absolute(module: Module, imported: Import) -> str:
    """The full name of the module that is imported from; empty for a relative import that leads nowhere."""
    if not imported.level:
        return imported.module
    parts = module.package.split(".") if module.package else []
    if imported.level > len(parts):
        return ""
    parts = parts[: len(parts) - imported.level + 1]
    return ".".join([*parts, imported.module] if imported.module else parts)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]
