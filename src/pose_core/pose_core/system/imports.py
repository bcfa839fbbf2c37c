"""Imports that wait until somebody uses what they bring."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def imported_later(*names: str) -> Iterator[None]:
    """What is imported inside gets stand-ins for the modules `names`, which become those at the first use; nobody else sees them.

    For libraries whose import brings others that a program does not use. Modules that are there already stay. State the packages
    of a submodule, too, before it.
    """
    later = {name: _Later(name) for name in names if name not in sys.modules}
    for name, module in later.items():
        package, _, last = name.rpartition(".")
        if package in later:
            vars(later[package])[last] = module
    sys.modules.update(later)
    try:
        yield
    finally:
        for name, module in later.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Later(ModuleType):
    """Stands for a module."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:  # still inside
            raise AttributeError(f"module {self.__name__} waits to be imported and has no {name} yet")
        return getattr(importlib.import_module(self.__name__), name)
