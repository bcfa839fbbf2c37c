"""Lines and discs at fractions of a pixel, and the sizes that people and images ask of them.

Coordinates may be NaN, infinite or outside the image. (0, 0) is the centre of the top left pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

from pose_core.skeleton import Skeleton
from pose_viz.palette import Colour, bgr255

RIM: Colour = (0.08, 0.08, 0.08)
"""Of the dark edge of every line, so that it shows on any background."""

BONES_PER_PERSON = 95.0
"""Bone widths that fit into a person's diagonal in the image."""
WIDTHS = (1 / 640, 1 / 200)
"""Least and greatest width of a bone over the longer side of the image."""
JOINT_PER_BONE = 1.25
"""Radius of a sure joint over the width of a bone."""
JOINT_SPAN = 0.28
"""Largest radius of a joint over the bone that leads to it, so that faces and hands stay readable."""
JOINT_LEAST = 0.35
"""Least share of its radius that a joint keeps however short its bone is."""

DASH, GAP = 1.6, 3.2
"""Length of a dash and of the gap behind it over the width of the line; round ends and rims reach into the gap."""
DASHED_LEAST = 2.0
"""Pixels that a line counts as broad at least when it is dashed."""

FAR = 8
"""Points further away than this many image sizes are not drawn: they are no measurement."""
SHIFT = 4
"""OpenCV draws at 1/2**SHIFT of a pixel."""


def draw_segments(layer: np.ndarray, segments: np.ndarray, colour: Colour, width: float) -> None:
    """Straight lines through the points of each of the segments (S, P, 2), as `fixed` gives them."""
    if len(segments):
        cv2.polylines(layer, list(segments), False, bgr255(colour), max(round(width), 1), cv2.LINE_AA, SHIFT)


def draw_disc(layer: np.ndarray, centre: np.ndarray, radius: float, colour: Colour) -> None:
    """A filled circle about the point `centre` (2,), as `fixed` gives it; `radius` in pixels."""
    cv2.circle(
        layer,
        centre.tolist(),
        round(radius * 2**SHIFT),
        bgr255(colour),
        cv2.FILLED,
        cv2.LINE_AA,
        SHIFT,
    )


def dashes(segments: np.ndarray, width: float) -> np.ndarray:
    """Segments (D, 2, 2) in pixels that make the straight lines (S, 2, 2) dashed ones, for lines of that width."""
    dash, gap = (share * max(width, DASHED_LEAST) for share in (DASH, GAP))
    pieces = []
    for start, end in segments:
        way = end - start
        count = max(round((float(np.linalg.norm(way)) + gap) / (dash + gap)), 1)
        unit = 1.0 / (count * dash + (count - 1) * gap)  # a dash at both ends
        begins = np.arange(count) * (dash + gap) * unit
        pieces.append(
            np.stack([start + begins[:, None] * way, start + (begins + dash * unit)[:, None] * way], 1)
        )
    return np.concatenate(pieces) if pieces else np.empty((0, 2, 2))


def bone_width(canvas: np.ndarray, nodes_px: np.ndarray) -> float:
    """Width of bones in pixels for a person whose visible nodes are `nodes_px` (V, 2)."""
    longer = max(canvas.shape[:2])
    extent = float(np.linalg.norm(np.ptp(nodes_px, axis=0)))
    return float(np.clip(extent / BONES_PER_PERSON, WIDTHS[0] * longer, WIDTHS[1] * longer))


def rim_of(width: float) -> float:
    """Pixels by which the dark edge of a line of that width stands out."""
    return max(0.2 * width, 0.8)


def radii(skeleton: Skeleton, nodes_px: np.ndarray, confidence: np.ndarray, width: float) -> np.ndarray:
    """(N,) radius of each node in pixels: half of the full one at confidence 0, and less on short bones."""
    edges = skeleton.edges
    full = width * JOINT_PER_BONE * (0.5 + 0.5 * confidence)
    lengths = np.full(len(nodes_px), np.inf)
    lengths[edges[:, 1]] = np.linalg.norm(nodes_px[edges[:, 1]] - nodes_px[edges[:, 0]], axis=-1)
    return np.maximum(np.fmin(full, JOINT_SPAN * lengths), JOINT_LEAST * full)


def to_canvas(canvas: np.ndarray, xy_px: np.ndarray, width: int, height: int) -> np.ndarray:
    """Pixels of the canvas from those of an image `width` x `height`; pixel centres are whole in both."""
    factors = np.array([canvas.shape[1] / width, canvas.shape[0] / height])
    return (xy_px + 0.5) * factors - 0.5


def drawable(canvas: np.ndarray, xy_px: np.ndarray) -> np.ndarray:
    """(N,) whether a point is finite and not absurdly far away."""
    reach = FAR * max(canvas.shape[:2])
    with np.errstate(invalid="ignore"):
        return (np.abs(xy_px) < reach).all(-1)


def fixed(xy_px: np.ndarray) -> np.ndarray:
    """Points (..., 2) as OpenCV's fixed-point coordinates, int32, within its limits; NaN becomes zero."""
    limit = 2.0 ** (30 - SHIFT)
    return np.rint(np.nan_to_num(xy_px).clip(-limit, limit) * 2**SHIFT).astype(np.int32)


def area(canvas: np.ndarray, xy_px: np.ndarray, margin: float) -> tuple[slice, slice]:
    """Rows and columns of the canvas that hold the points and `margin` pixels around them."""
    height, width = canvas.shape[:2]
    low = np.clip(np.floor(xy_px.min(0) - margin), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(xy_px.max(0) + margin) + 1, 0, (width, height)).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])
