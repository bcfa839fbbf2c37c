"""Tables of implementations that users pick by name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Generic, TypeVar

T = TypeVar("T")


def suggest(wrong: str, known: list[str]) -> str:
    """The tail of an error message: the nearest known name where one is near, and all of them."""
    near = difflib.get_close_matches(wrong, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{hint}known: {', '.join(known) or 'none'}"


def files_of(package: ModuleType) -> list[str]:
    """Names of the files of a package in which entries may stand, sorted; an underscore hides one."""
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_"))


class Registry(Generic[T]):
    """Names and the classes behind them: `@LIFTERS.register("name")`, then `LIFTERS.get("name")`."""

    def __init__(self, kind: str) -> None:
        """`kind`: what is registered, in one word, for messages ("lifter")."""
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that enters a class under `name`. Raises ValueError where the name is taken."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def get(self, name: str) -> T:
        """The entry called `name`. Raises ValueError naming the known ones."""
        if name not in self._entries:
            raise ValueError(f"unknown {self.kind} '{name}'; {suggest(name, self.names())}")
        return self._entries[name]

    def find(self, name: str, package: ModuleType) -> T:
        """The entry of the file `name` in a package, loaded when needed. Raises ValueError naming the known ones."""
        known = files_of(package)
        if name not in known:
            raise ValueError(f"unknown {self.kind} '{name}'; {suggest(name, known)}")
        importlib.import_module(f"{package.__name__}.{name}")
        return self.get(name)

    def name_of(self, entry: T) -> str:
        """The name of `entry`. Raises ValueError for one that was not registered."""
        for name, known in self._entries.items():
            if known is entry:
                return name
        what = getattr(entry, "__name__", entry)
        raise ValueError(f"{what} is not registered as a {self.kind}; put @....register('name') above it")

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._entries
