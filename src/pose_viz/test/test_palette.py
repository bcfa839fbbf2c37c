"""Colours: the same for everybody who draws, and told apart with any colour vision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pose_viz import palette

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency"
# (2009), severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colour, vision="normal"):
    """CIELAB (D65) of an sRGB colour as somebody sees it."""
    srgb = np.array(colour)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISION[vision]) @ linear, 0.0, 1.0)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ seen / (to_xyz @ np.ones(3))
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("paper", [False, True])
@pytest.mark.parametrize("person", ["p1", "p2", "p3", "p4"])
def test_sides_are_told_apart_by_everybody(vision, paper, person):
    colours = [lab(palette.side_colour(side, person, paper=paper), vision) for side in palette.SIDES]
    for a, b in itertools.combinations(colours, 2):
        assert np.linalg.norm(a - b) > 20.0  # 2.3 is just noticeable


@pytest.mark.parametrize("paper", [False, True])
def test_people_differ(paper):
    colours = [lab(palette.person_colour(f"p{n}", paper=paper)) for n in (1, 2, 3, 4)]
    for a, b in itertools.combinations(colours, 2):
        assert np.linalg.norm(a - b) > 20.0


def test_contrast_with_the_background():
    for side in palette.SIDES:
        assert lab(palette.side_colour(side))[0] > 60.0  # light on dark
        assert lab(palette.side_colour(side, paper=True))[0] < 60.0  # dark on white


def test_first_person_has_the_plain_colours_and_others_a_share_of_their_own():
    assert palette.side_colour("left", "p1") == palette.side_colour("left") == palette.SIDES["left"][0]
    plain, own = np.array(palette.SIDES["left"][0]), np.array(palette.PEOPLE[1][0])
    np.testing.assert_allclose(palette.side_colour("left", "p2"), 0.78 * plain + 0.22 * own)
    assert palette.side_colour("left", "p5") == palette.side_colour("left", "p1")


@pytest.mark.parametrize(
    ("person", "number"), [("p1", 0), ("p2", 1), ("person12", 11), ("p0", 0), ("p01", 0)]
)
def test_number_of_an_id(person, number):
    assert palette.person_number(person) == number


def test_an_id_without_a_number_has_a_fixed_colour():
    # CRC-32 of "anna", which does not change between runs as Python's hash does.
    assert palette.person_number("anna") == 0x215CBEB7
    assert palette.person_colour("anna") == palette.PEOPLE[0x215CBEB7 % 4][0]


def test_bgr255():
    assert palette.bgr255((1.0, 0.5, 0.0)) == (0, 128, 255)
