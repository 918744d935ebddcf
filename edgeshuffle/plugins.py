"""Tables of plugins: ordered names, each a module of one package, imported when first used."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from edgeshuffle.errors import UnknownNameError, needs_extra

T = TypeVar("T")


class Table(Mapping[str, T], Generic[T]):
    """A closed, ordered mapping of plugin names to modules of `package`.

    Iterating imports nothing, so command-line choices are free. Indexing raises UnknownNameError
    for a name not in the table and MissingExtraError where the module needs a package that is
    not installed; `extra` names the pip extra that brings it. `module` is how a plugin's module is
    called, where that is not just its name.
    """

    def __init__(
        self, kind: str, package: str, extra: str, *names: str, module: str = "{}"
    ) -> None:
        self.kind = kind
        self._package = package
        self._extra = extra
        self._names = names
        self._module = module
        self._imported: dict[str, T] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        # Mapping's own would import the module to find out.
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def require(self, name: str) -> None:
        """Raise UnknownNameError for a name not in the table; imports nothing."""
        if name not in self._names:
            close = difflib.get_close_matches(name, self._names, 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise UnknownNameError(
                f"Unknown {self.kind} '{name}'.{hint} Known: {', '.join(self._names)}."
            )

    def __getitem__(self, name: str) -> T:
        if name not in self._imported:
            self.require(name)
            with needs_extra(f"The {self.kind} '{name}'", self._extra):
                module = import_module(f"{self._package}.{self._module.format(name)}")
            self._imported[name] = cast("T", module)
        return self._imported[name]
