"""Colours that people tell apart with any colour vision: how far apart two are, and as many as a skeleton has bones.

Colour blindness is simulated by the matrices of Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation
of Color Vision Deficiency" (2009), table of severity 1, in linear RGB. Distances are those of CIELAB (CIE76, white D65): about
2.3 can just be told apart side by side.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pose_viz.palette import GROUPS, Colour

VISION: dict[str, np.ndarray] = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""By kind of vision, what makes of linear RGB what is seen."""

XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB to CIE XYZ."""
STEPS = 9
"""Values of red, of green and of blue among which colours are chosen."""
DARKEST = 30.0
"""Least lightness (CIELAB) of a colour of a bone: its rim is darker."""


def labs(colours: np.ndarray) -> np.ndarray:
    """(V, ..., 3) CIELAB of colours (..., 3) in 0..1, as each kind of vision sees them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.stack([linear @ matrix.T for matrix in VISION.values()]).clip(0.0, 1.0)
    white = XYZ @ np.ones(3)
    share = seen @ XYZ.T / white
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], -1)


def difference(one: Colour, other: Colour) -> float:
    """How far apart two colours are for whoever tells them apart worst."""
    first, second = labs(np.array(one)), labs(np.array(other))
    return float(np.linalg.norm(first - second, axis=-1).min())


@cache
def distinct(count: int) -> tuple[Colour, ...]:
    """`count` colours, each as far as can be from all before it for whoever tells them apart worst; the first are `GROUPS`'."""
    steps = np.linspace(0.0, 1.0, STEPS)
    choice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    choice = choice[labs(choice)[0, :, 0] >= DARKEST]
    seen = labs(choice)
    colours = list(GROUPS.values())[:count]
    apart = np.full(len(choice), np.inf)
    for number in range(count):
        if number == len(colours):
            colours.append(tuple(choice[int(apart.argmax())].tolist()))
        own = labs(np.array(colours[number]))
        apart = np.minimum(apart, np.linalg.norm(seen - own[:, None], axis=-1).min(0))
    return tuple(colours)
