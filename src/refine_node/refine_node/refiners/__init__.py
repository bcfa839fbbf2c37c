"""All refiners: importing this package loads every file in it, so that a dropped-in file is registered."""

from __future__ import annotations

import importlib
import pkgutil

from refine_node.refiner import REFINERS

__all__ = ["REFINERS"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
