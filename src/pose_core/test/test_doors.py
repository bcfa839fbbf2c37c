"""Entry points of other packages, from folders on the path whose metadata are written here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pose_core import doors
from pose_core.registry import Registry

Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install(package, entries, code)` puts a package with one module of its name on the path, before what is there."""

    def put(package: str, entries: str, code: str = "") -> None:
        module = package.replace("-", "_")
        info = tmp_path / package / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{doors.LIFTERS}]\n{entries}\n")
        (info.parent / f"{module}.py").write_text(code)
        monkeypatch.syspath_prepend(str(info.parent))
        doors.forget()

    yield put
    monkeypatch.undo()
    doors.forget()
    for name in ("door_one", "door_two"):
        sys.modules.pop(name, None)


def shapes() -> Registry[type]:
    """A registry that takes subclasses of int."""
    registry: Registry[type] = Registry(
        "shape",
        doors.LIFTERS,
        lambda one: isinstance(one, type) and issubclass(one, int),
        "a subclass of int",
    )
    registry.register("square")(int)
    return registry


def test_names_are_known_before_anything_is_imported(install: Install) -> None:
    install("door-one", "flat = door_one:Flat\nbent = door_one:Bent", "class Flat(int):\n    pass\n")
    assert {"flat", "bent"} <= set(doors.names(doors.LIFTERS))
    assert str(doors.origin(doors.LIFTERS, "flat")) == "door-one 1.0"
    assert doors.origin(doors.LIFTERS, "flat").place == "door_one:Flat"
    assert "door_one" not in sys.modules
    assert doors.load(doors.LIFTERS, "flat").__name__ == "Flat"
    assert "flat" not in doors.names(doors.REFINERS)


def test_what_cannot_be_imported_is_an_error_that_names_its_package(install: Install) -> None:
    install("door-one", "bent = door_one:Bent\ngone = door_three:Gone")
    with pytest.raises(ValueError, match=r"'bent' of package door-one cannot be used \(AttributeError: "):
        doors.load(doors.LIFTERS, "bent")
    with pytest.raises(ValueError, match="No module named 'door_three'.*mend or uninstall that package"):
        doors.load(doors.LIFTERS, "gone")
    with pytest.raises(ValueError, match="no installed package brings 'flat' to pose_pipeline.lifters"):
        doors.load(doors.LIFTERS, "flat")


def test_of_two_packages_the_first_on_the_path_counts(install: Install) -> None:
    install("door-one", "flat = door_one:NUMBER", "NUMBER = 1\n")
    install("door-two", "flat = door_two:NUMBER", "NUMBER = 2\n")
    assert doors.load(doors.LIFTERS, "flat") == 2
    assert [str(other) for other in doors.rivals(doors.LIFTERS, "flat")] == ["door-one 1.0"]
    assert doors.rivals(doors.LIFTERS, "bent") == []


def test_a_registry_has_what_packages_bring_but_its_own_first(install: Install) -> None:
    install(
        "door-one",
        "flat = door_one:Flat\nsquare = door_one:Flat\nbent = door_one:Bent\nword = door_one:Word",
        "class Flat(int):\n    pass\n\n\nclass Word(str):\n    pass\n",
    )
    registry = shapes()
    assert registry.own() == ["square"]
    assert {"bent", "flat", "square", "word"} <= set(registry)
    assert "bent" in registry
    assert "door_one" not in sys.modules
    assert registry.get("square") is int
    assert registry.get("flat").__name__ == "Flat"
    with pytest.raises(
        ValueError,
        match="'word' of package door-one must be a subclass of int, but door_one:Word is class Word; mend",
    ):
        registry.get("word")
    assert [name for name, _ in registry.usable() if name in ("bent", "flat", "square", "word")] == [
        "flat",
        "square",
    ]
    with pytest.raises(ValueError, match=r"unknown shape 'flatt'; did you mean 'flat'\?"):
        registry.get("flatt")


def test_a_registry_without_a_door_has_only_its_own(install: Install) -> None:
    install("door-one", "flat = door_one:Flat")
    registry: Registry[type] = Registry("shape")
    assert registry.names() == []
    assert "flat" not in registry


def test_asking_for_ones_own_reads_no_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_points", lambda group: pytest.fail(f"metadata of {group} were read"))
    assert shapes().get("square") is int
    assert "square" in shapes()
