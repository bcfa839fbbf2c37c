"""Tables of implementations that users pick by name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Generic, TypeVar

from pose_core import doors

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
    """Names and the classes behind them: `@LIFTERS.register("name")`, then `LIFTERS.get("name")`.

    One with a `group` also knows what installed packages bring through that door (`pose_core.doors`), which is imported when it
    is asked for by name. Own names win over theirs.
    """

    def __init__(
        self, kind: str, group: str = "", fits: Callable[[Any], bool] | None = None, expected: str = ""
    ) -> None:
        """`kind`: what is registered, in one word, for messages ("lifter"). `fits`: whether something brought is one, which is
        `expected`, in words ("a subclass of Lifter").
        """
        self.kind, self.group = kind, group
        self._fits, self._expected = fits or _anything, expected
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
        """The entry called `name`. Raises ValueError naming the known ones, or the package whose entry cannot be used."""
        if name not in self._entries:
            if name in self.brought():
                return self.load(name)
            raise ValueError(f"unknown {self.kind} '{name}'; {suggest(name, self.names())}")
        return self._entries[name]

    def load(self, name: str) -> T:
        """What an installed package brings under `name`. Raises ValueError where it is none or cannot be used."""
        entry: T = doors.load_fitting(self.group, name, self._fits, self._expected)
        return entry

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

    def own(self) -> list[str]:
        """Names that were registered, sorted; those that packages bring are left out."""
        return sorted(self._entries)

    def brought(self) -> list[str]:
        """Names that installed packages bring, sorted, with those that own ones hide; nothing is imported."""
        return doors.names(self.group) if self.group else []

    def names(self) -> list[str]:
        """All names, sorted; nothing is imported."""
        return sorted({*self._entries, *self.brought()})

    def usable(self) -> Iterator[tuple[str, T]]:
        """All names with their entries, imported now; what packages bring is left out where it cannot be used."""
        for name in self.names():
            try:
                entry = self.get(name)
            except ValueError:
                continue
            yield name, entry

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self.brought()


def _anything(_entry: Any) -> bool:
    return True
