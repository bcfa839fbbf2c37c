"""What every evaluation is: scenes in which candidates are measured, results that are kept, and tables of them in a document.

A result is kept by a digest of everything that it depends on, code, settings and files: a run that was interrupted goes on, and a
second one costs nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from pose_core.callbacks import Progress, Say, no_progress, silent
from pose_core.files import sha256, write_whole
from pose_train.studies.document import write_document

V = TypeVar("V")
"""What is measured of a candidate in a scene."""
K = TypeVar("K")
"""A candidate."""


@dataclass(frozen=True)
class Measurement(Generic[K, V]):
    """One candidate in one scene."""

    scene: str
    candidate: K
    label: str
    """What people are told it is; with the digest, the name of the kept file."""
    depends: Mapping[str, Any]
    """Plain values that this result depends on, besides what all do."""
    measure: Callable[[], V]


Results = dict[str, dict[K, V]]
"""By scene and candidate."""


class Study(ABC, Generic[K, V]):
    """One evaluation. Subclasses say what is measured, on what, and how it is shown."""

    command: ClassVar[str]
    """`pose evaluate COMMAND`"""
    keeps_others: ClassVar[bool] = False
    """Whether rows of what was not measured now stay in the document, where they were made in the same way."""
    packages: ClassVar[tuple[ModuleType, ...]]
    """Packages whose change makes results stale, with the folder or file of the study itself."""
    modules: ClassVar[tuple[ModuleType, ...]] = ()
    """Modules of which the same is true."""

    @abstractmethod
    def measurements(self) -> list[Measurement[K, V]]:
        """All that there are. Raises ValueError for what cannot be measured."""

    @abstractmethod
    def depends(self) -> dict[str, Any]:
        """Plain values of the settings that all results depend on."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """Files that all results depend on. Raises ValueError where one is not there."""

    @abstractmethod
    def restored(self, kept: Any) -> V:
        """The inverse of `plain`. Raises ValueError for anything else."""

    @abstractmethod
    def sentence(self, result: V) -> str:
        """The outcome in a line."""

    @abstractmethod
    def report(self, results: Results[K, V], where: str) -> dict[str, str]:
        """The generated parts of the document by the names of their marks; `where`: the machine, in words."""

    def told(self, results: Results[K, V]) -> list[str]:
        """What people are told at the end, besides where the document is."""
        return []

    def figures(self, results: Results[K, V]) -> dict[str, Any]:
        """The same as plain values, for programs."""
        return {
            scene: {str(candidate): plain(one) for candidate, one in found.items()}
            for scene, found in results.items()
        }

    def run(self, folder: Path, tell: Say = silent, progress: Progress = no_progress) -> Results[K, V]:
        """All results, from `folder` where they were made before.

        `tell` gets a sentence for each, `progress` how many are done. Raises ValueError for what cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        shared = self._shared()
        jobs = self.measurements()
        results: Results[K, V] = {}
        for number, job in enumerate(jobs):
            progress(number, len(jobs))
            depends = [shared, job.scene, job.label, dict(job.depends)]
            digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
            file = folder / f"{job.label}-{digest[:16]}.json"
            if file.is_file():
                result = self.restored(json.loads(file.read_text()))
                tell(f"{job.label}: measured before")
            else:
                result = job.measure()
                kept = json.dumps(plain(result), allow_nan=False, indent=1)
                write_whole(file, f"{kept}\n".encode())
                tell(f"{job.label}: {self.sentence(result)}")
            results.setdefault(job.scene, {})[job.candidate] = result
        progress(len(jobs), len(jobs))
        return results

    def carry_out(
        self, folder: Path, document: Path, tell: Say = silent, progress: Progress = no_progress
    ) -> dict[str, Any]:
        """Measure, and rewrite the tables of `document`; the figures. Raises ValueError for a document without the marks."""
        results = self.run(folder, tell, progress)
        write_document(document, self.report(results, machine()), self.keeps_others)
        for line in self.told(results):
            tell(line)
        tell(f"wrote {document}")
        return self.figures(results)

    def _shared(self) -> dict[str, Any]:
        own = Path(str(sys.modules[type(self).__module__].__file__))
        code = own.parent.glob("*.py") if own.stem == "study" else (own,)
        files = [Path(__file__), *sorted(code), *sources(self.packages, self.modules), *self.files()]
        return {"settings": self.depends(), "files": [sha256(file) for file in files]}


def plain(value: Any) -> Any:
    """Plain values for JSON of figures: dataclasses as their fields, NaN as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def with_nan(kept: Any) -> Any:
    """Figures of `plain` in which every None is NaN again."""
    if isinstance(kept, dict):
        return {name: with_nan(one) for name, one in kept.items()}
    if isinstance(kept, list):
        return [with_nan(one) for one in kept]
    return math.nan if kept is None else kept


def sources(packages: Iterable[ModuleType], modules: Iterable[ModuleType] = ()) -> list[Path]:
    """All files of code of some packages, and those of single modules: what results depend on."""
    folders = [Path(str(package.__file__)).parent for package in packages]
    code = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return code + [Path(str(module.__file__)) for module in modules]


def expect_files(files: Mapping[Path, str]) -> None:
    """Raise ValueError where one of some files is not there, naming the option that says where it is."""
    for file, option in files.items():
        if not file.is_file():
            raise ValueError(f"there is no file {file}; say with {option} where it is")


def machine() -> str:
    """The processor in words, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.*)$", info.read_text(), re.MULTILINE) if info.is_file() else []
    words = re.findall(r"Xeon|EPYC|Ryzen|Core|Atom|Cortex|Neoverse", names[0]) if names else []
    cores = os.cpu_count() or 1
    return f"{cores} {words[0] if words else 'CPU'} core{'s' if cores > 1 else ''}"
