from __future__ import annotations

import pytest

from pose_core.registry import Registry, suggest


def shapes() -> Registry[type]:
    registry = Registry("shape")
    registry.register("square")(int)
    registry.register("circle")(float)
    return registry


def test_registering_returns_the_entry_unchanged():
    registry = Registry("shape")

    @registry.register("square")
    class Square:
        pass

    assert Square.__name__ == "Square"
    assert registry.get("square") is Square
    assert "square" in registry
    assert "circle" not in registry


def test_names_are_sorted():
    assert shapes().names() == ["circle", "square"]
    assert list(shapes()) == ["circle", "square"]


def test_a_name_can_be_taken_once():
    with pytest.raises(ValueError, match="shape 'square' is registered twice"):
        shapes().register("square")(str)


def test_an_unknown_name_brings_the_nearest_known_one():
    with pytest.raises(
        ValueError, match=r"unknown shape 'sqare'; did you mean 'square'\? known: circle, square"
    ):
        shapes().get("sqare")


def test_suggestions():
    assert suggest("zzz", ["circle", "square"]) == "known: circle, square"
    assert suggest("zzz", []) == "known: none"


def test_an_entry_knows_its_name():
    assert shapes().name_of(float) == "circle"
    with pytest.raises(
        ValueError, match=r"str is not registered as a shape; put @\.\.\.\.register\('name'\) above it"
    ):
        shapes().name_of(str)
