"""People drawn on their image.

Left, right and centre have the colours of `palette`. A joint is the larger the surer it is, and whatever is
less sure than `SURE` is translucent. Every line has a dark rim, so that it shows on any background. Sizes
follow the person's size in the image. Coordinates may be NaN, infinite or outside the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pose_core.geometry.camera import Camera
from pose_core.people import People2D, People3D, Person2D, Person3D, StageTime
from pose_core.skeleton import SKELETONS, Skeleton, side
from pose_viz.palette import SIDES, Colour, bgr255, person_colour, side_colour
from pose_viz.params import VizParams
from pose_viz.shapes import (
    RIM,
    area,
    bone_width,
    draw_disc,
    draw_segments,
    drawable,
    fixed,
    radii,
    rim_of,
    to_canvas,
)

SURE = 0.5
"""Confidence from which joints and bones are opaque: the detector finds it more likely visible than not."""
FAINT_ALPHA = 0.45
PANEL_ALPHA = 0.55
LIGHT: Colour = (1.0, 1.0, 1.0)
REPROJECTED: Colour = (0.94, 0.89, 0.26)
REPROJECTED_WIDTH = 0.25
"""Share of a bone's width."""

FONT = cv2.FONT_HERSHEY_DUPLEX
FONT_HEIGHT = 22.0
"""Pixels of a capital letter of `FONT` at scale 1."""
TEXT_PER_IMAGE = 0.0095
"""Height of capital letters over the longer side of the image, at least `TEXT_MIN` pixels."""
TEXT_MIN = 7.0


def draw(
    bgr: np.ndarray,
    people2d: People2D,
    people3d: People3D | None = None,
    camera: Camera | None = None,
    params: VizParams | None = None,
) -> np.ndarray:
    """A new image (h, w, 3) with the people of `bgr` (H, W, 3) uint8, shrunk where the parameters ask for it.

    `people3d` give the processing times, and with the `camera` of the image they are drawn back into it. The
    image may be of another size than the one `people2d` were found in. Raises ValueError for another kind.
    """
    if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or 0 in bgr.shape:
        raise ValueError(f"image must be (H, W, 3) of uint8 in BGR, got {bgr.shape} of {bgr.dtype}")
    params = params or VizParams()
    canvas = resized(bgr, params.overlay_max_size)
    for person in people2d.people:
        _draw_person(canvas, person, people2d, params)
    shown3d = people3d if params.overlay_reprojection else None
    if shown3d is not None and camera is not None:
        for lifted in shown3d.people:
            _draw_reprojected(canvas, SKELETONS.get(shown3d.skeleton), lifted, camera, params)
    for person in people2d.people:
        _draw_box(canvas, person, people2d, params)
    if params.overlay_times:
        _draw_times(canvas, (people3d or people2d).times)
    if params.overlay_legend:
        _draw_legend(canvas, with_3d=shown3d is not None and camera is not None)
    return canvas


def resized(bgr: np.ndarray, max_size: int) -> np.ndarray:
    """A copy of the image whose longer side is at most `max_size` pixels; 0 means any size."""
    height, width = bgr.shape[:2]
    longer = max(height, width)
    if not max_size or longer <= max_size:
        return bgr.copy()
    size = (max(round(width * max_size / longer), 1), max(round(height * max_size / longer), 1))
    # Bilinear is as good as area averaging down to half size, and several times faster.
    return cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR if 2 * max_size >= longer else cv2.INTER_AREA)


def times_text(times: tuple[StageTime, ...]) -> str:
    """Age of the image when the last stage had finished, and what each stage took; empty without times."""
    if not times:
        return ""
    age = (times[-1].end - times[0].start) / 1e6
    stages = "  ".join(f"{t.stage} {(t.end - t.start) / 1e6:.0f}" for t in times if t.stage != "source")
    return f"age {age:.0f} ms   {stages}".rstrip()


@dataclass(frozen=True)
class _Figure:
    """A person in pixels of the canvas."""

    person: str
    skeleton: Skeleton
    nodes_px: np.ndarray  # (N, 2), NaN where not drawn
    confidence: np.ndarray  # (N,)
    bone_width: float  # pixels


def _draw_person(canvas: np.ndarray, person: Person2D, image: People2D, params: VizParams) -> None:
    skeleton = SKELETONS.get(image.skeleton)
    nodes_px = to_canvas(canvas, skeleton.with_virtual(person.xy_px), image.width, image.height)
    confidence = skeleton.with_virtual(person.joint_confidence[:, None])[:, 0]
    visible = drawable(canvas, nodes_px) & (confidence >= params.min_confidence) & (confidence > 0.0)
    if not visible.any():
        return
    width = bone_width(canvas, nodes_px[visible])
    figure = _Figure(person.id, skeleton, np.where(visible[:, None], nodes_px, np.nan), confidence, width)
    sure = confidence >= SURE
    sure_bones = sure[skeleton.edges].all(-1)
    bones = visible[skeleton.edges].all(-1)
    joints = visible[: len(skeleton)]
    _draw_faint(
        canvas, figure, np.flatnonzero(bones & ~sure_bones), np.flatnonzero(joints & ~sure[: len(joints)])
    )
    _draw_limbs(
        canvas, figure, np.flatnonzero(bones & sure_bones), np.flatnonzero(joints & sure[: len(joints)])
    )


def _draw_faint(canvas: np.ndarray, figure: _Figure, bones: np.ndarray, joints: np.ndarray) -> None:
    """As `_draw_limbs`, translucent; only the part of the canvas that holds them is blended."""
    ends = np.concatenate([figure.skeleton.edges[bones].ravel(), joints])
    if not len(ends):
        return
    rows, columns = area(canvas, figure.nodes_px[ends], 3.0 * figure.bone_width)
    below = canvas[rows, columns]
    if below.size:
        layer = below.copy()
        origin = np.array([columns.start, rows.start])
        _draw_limbs(layer, replace(figure, nodes_px=figure.nodes_px - origin), bones, joints)
        cv2.addWeighted(layer, FAINT_ALPHA, below, 1.0 - FAINT_ALPHA, 0.0, dst=below)


def _draw_limbs(layer: np.ndarray, figure: _Figure, bones: np.ndarray, joints: np.ndarray) -> None:
    skeleton, width = figure.skeleton, figure.bone_width
    rim = rim_of(width)
    points = fixed(figure.nodes_px)
    segments = points[skeleton.edges[bones]]
    draw_segments(layer, segments, RIM, width + 2.0 * rim)
    sides = np.array(skeleton.bone_sides)[bones]
    for name in SIDES:
        draw_segments(layer, segments[sides == name], side_colour(name, figure.person), width)
    radius = radii(skeleton, figure.nodes_px, figure.confidence, width)
    for joint in joints:
        draw_disc(layer, points[joint], radius[joint] + rim, RIM)
        draw_disc(
            layer, points[joint], radius[joint], side_colour(side(skeleton.joints[joint]), figure.person)
        )


def _draw_reprojected(
    canvas: np.ndarray, skeleton: Skeleton, person: Person3D, camera: Camera, params: VizParams
) -> None:
    seen = person.joint_confidence >= params.min_confidence
    nodes = skeleton.with_virtual(np.where(seen[:, None], person.xyz, np.nan))
    with np.errstate(over="ignore", invalid="ignore"):  # who touches the lens is seen at infinity
        nodes_px = camera.project(nodes)
    nodes_px = to_canvas(canvas, nodes_px, camera.width, camera.height)
    visible = drawable(canvas, nodes_px)
    if not visible.any():
        return
    thin = max(REPROJECTED_WIDTH * bone_width(canvas, nodes_px[visible]), 2.0)
    segments = fixed(nodes_px)[skeleton.edges[visible[skeleton.edges].all(-1)]]
    draw_segments(canvas, segments, RIM, thin + 1.0)
    draw_segments(canvas, segments, REPROJECTED, thin)


def _draw_box(canvas: np.ndarray, person: Person2D, image: People2D, params: VizParams) -> None:
    corners = to_canvas(canvas, person.box_px.reshape(2, 2), image.width, image.height)
    if not drawable(canvas, corners).all():
        return
    (left, top), (right, bottom) = corners.tolist()
    colour = person_colour(person.id)
    if params.overlay_boxes:
        # Corners alone mark the box and leave the picture readable.
        arm = 0.14 * min(right - left, bottom - top)
        across, down = ((left, arm), (right, -arm)), ((top, arm), (bottom, -arm))
        marks = fixed(np.array([[[x + dx, y], [x, y], [x, y + dy]] for x, dx in across for y, dy in down]))
        thick = max(round(max(canvas.shape) / 640), 2)
        draw_segments(canvas, marks, RIM, thick + 2)
        draw_segments(canvas, marks, colour, thick)
    if params.show_labels:
        _draw_text(canvas, left, top, [f"{person.id}  {person.confidence:.2f}"], colour, above=True)


def _draw_times(canvas: np.ndarray, times: tuple[StageTime, ...]) -> None:
    text = times_text(times)
    if text:
        margin = _text_height(canvas)
        _draw_text(canvas, margin, margin, [text], LIGHT)


def _draw_legend(canvas: np.ndarray, *, with_3d: bool) -> None:
    rows = [(name, side_colour(name), 0.45) for name in SIDES]
    rows += [("3D reprojected", REPROJECTED, 0.18)] if with_3d else []
    height = _text_height(canvas)
    swatch = 2.6 * height
    texts = [text for text, _, _ in rows]
    x, y = height, canvas.shape[0] - height - _panel_size(canvas, texts)[1]
    _draw_text(canvas, x, y, texts, LIGHT, indent=swatch)
    for row, (_, colour, width) in enumerate(rows):
        left, middle = x + 0.9 * height, y + height * (1.3 + 2.0 * row)
        segment = fixed(np.array([[[left, middle], [left + 0.75 * swatch, middle]]]))
        draw_segments(canvas, segment, colour, height * width)


def _draw_text(
    canvas: np.ndarray,
    x: float,
    y: float,
    lines: list[str],
    colour: Colour,
    *,
    above: bool = False,
    indent: float = 0.0,
) -> None:
    """Text on a dark translucent panel with its top (with `above`, its bottom) left corner at x, y.

    The panel is moved into the image where it would stick out.
    """
    height = _text_height(canvas)
    scale = height / FONT_HEIGHT
    panel_width, panel_height = _panel_size(canvas, lines, indent)
    x = int(np.clip(x, 0, max(canvas.shape[1] - panel_width, 0)))
    y = int(np.clip(y - panel_height if above else y, 0, max(canvas.shape[0] - panel_height, 0)))
    panel = canvas[y : y + panel_height, x : x + panel_width]
    cv2.convertScaleAbs(panel, panel, alpha=1.0 - PANEL_ALPHA)
    for row, line in enumerate(lines):
        baseline = round(y + height * (1.8 + 2.0 * row))
        origin = (round(x + 0.9 * height + indent), baseline)
        cv2.putText(canvas, line, origin, FONT, scale, bgr255(colour), max(round(scale), 1), cv2.LINE_AA)


def _panel_size(canvas: np.ndarray, lines: list[str], indent: float = 0.0) -> tuple[int, int]:
    height = _text_height(canvas)
    scale = height / FONT_HEIGHT
    widest = max(cv2.getTextSize(line, FONT, scale, 1)[0][0] for line in lines)
    return round(widest + indent + 1.8 * height), round(height * (0.6 + 2.0 * len(lines)))


def _text_height(canvas: np.ndarray) -> float:
    return max(TEXT_PER_IMAGE * max(canvas.shape[:2]), TEXT_MIN)
