"""Draws people on their image in one of the styles, with names and a legend where there is room for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from pose_core.conversion import conversion
from pose_core.filtering.missing_joints import MissingJoints
from pose_core.filtering.visibility import joint_mask, node_mask
from pose_core.people import People2D, Person2D
from pose_core.skeleton import SKELETONS, Skeleton
from pose_viz import overlay
from pose_viz.drawing.flat import draw_flat
from pose_viz.drawing.labels import Label, Name, Subject, draw_labels
from pose_viz.drawing.legend import draw_legend
from pose_viz.drawing.placing import Box
from pose_viz.drawing.styles import Look, Style, bone_text, detail, part_of
from pose_viz.drawing.text import text_height
from pose_viz.params import VizParams
from pose_viz.shapes import (
    RIM,
    area,
    bone_width,
    dashes,
    draw_disc,
    draw_segments,
    drawable,
    fixed,
    radii,
    rim_of,
    to_canvas,
)

SURE = overlay.SURE
"""Confidence from which joints and bones are opaque, and by default what a mask takes for seen."""
FAINT_ALPHA = overlay.FAINT_ALPHA
LEAST = VizParams.min_confidence
"""Confidence below which a joint is not drawn, where no mask shows it in grey."""
SIDES_PARAMS = VizParams(
    overlay_max_size=0, overlay_legend=False, overlay_times=False, overlay_reprojection=False
)
ROWS = 256
"""Of a transparent picture, computed at a time."""
HOLLOW = 0.5
"""Radius of the dark middle of an inferred joint over that of the joint."""
FACE_MARGIN = 0.35
"""Room about the points of a face, over the longer side of what holds them: there is a forehead and a chin."""


@dataclass(frozen=True)
class Drawn:
    """A picture, and what is where in it, in pixels."""

    bgr: np.ndarray
    """(H, W, 3) uint8"""
    labels: tuple[Label, ...] = ()
    faces: tuple[Box, ...] = ()
    people: tuple[Box, ...] = ()
    legend: Box | None = None
    """None where there is none, or no room for it."""
    left_out: int = 0
    """Labels without room."""


@dataclass(frozen=True)
class _Figure:
    """A person in pixels of the canvas."""

    skeleton: Skeleton
    nodes_px: np.ndarray  # (N, 2), NaN where not drawn
    confidence: np.ndarray  # (N,)
    inferred: np.ndarray  # (N,) bool
    look: Look
    width: float  # of bones, pixels

    @property
    def bones(self) -> np.ndarray:
        """Numbers of the bones that are drawn."""
        there = np.isfinite(self.nodes_px[self.skeleton.edges]).all((1, 2))
        return np.flatnonzero(there)

    @property
    def joints(self) -> np.ndarray:
        """Numbers of the joints that are drawn."""
        return np.flatnonzero(np.isfinite(self.nodes_px[: len(self.skeleton)]).all(-1))

    @property
    def face(self) -> Box | None:
        """What holds the face."""
        nodes = {child for bone in self.skeleton.bones if part_of(bone) == "face" for child in bone[1:]}
        points = self.nodes_px[self.skeleton.indices(*sorted(nodes))] if nodes else np.empty((0, 2))
        box = Box.around(points)
        return box and box.grown(FACE_MARGIN * max(box.right - box.left, box.bottom - box.top))


def converted(people: People2D, skeleton: str) -> People2D:
    """The same people with the joints of another skeleton; those that cannot be told are NaN.

    Raises ValueError where none of its joints can be.
    """
    if skeleton in ("", people.skeleton):
        return people
    change = conversion(people.skeleton, skeleton)
    if not change.known.any():
        raise ValueError(
            f"skeleton '{skeleton}' has no joint that keypoints of '{people.skeleton}' tell; choose another one"
        )

    def one(person: Person2D) -> Person2D:
        xy_px, confidence = change.apply(person.xy_px, person.joint_confidence)
        return replace(person, xy_px=xy_px, joint_confidence=confidence)

    return replace(people, skeleton=skeleton, people=tuple(one(person) for person in people.people))


class Artist:
    """Draws one image after another in one style; the legend stays at its place as long as nobody comes there."""

    def __init__(
        self, style: Style, skeleton: str = "", *, visibility_min: float = SURE, legend: bool = True
    ) -> None:
        """`skeleton`: whose joints are drawn; empty: those that the people have. `visibility_min`: confidence from which a joint
        is seen, for masks and for inferring what is not.

        Raises ValueError for a skeleton whose missing joints cannot be inferred, where the style does that.
        """
        self.style, self.skeleton, self.visibility_min = style, skeleton, visibility_min
        self._legend = legend
        self._spot: Box | None = None
        self._fillers: dict[str, MissingJoints] = {}
        if style.filled and skeleton:
            self._filler(skeleton)

    def draw(self, bgr: np.ndarray, people: People2D) -> Drawn:
        """A new picture with the people of `bgr` (H, W, 3) uint8; that of the style `flat` is a plot of another size.

        The image may be of another size than the one in which people were found. Raises ValueError for another kind of image, and
        as `converted` does.
        """
        if bgr.ndim != 3 or bgr.shape[2] != 3 or bgr.dtype != np.uint8 or 0 in bgr.shape:
            raise ValueError(f"image must be (H, W, 3) of uint8 in BGR, got {bgr.shape} of {bgr.dtype}")
        shown = converted(people, self.skeleton)
        if self.style.flat:
            return Drawn(draw_flat(shown, self.style, bgr.shape[1], bgr.shape[0]))
        figures = [figure for person in shown.people if (figure := self._figure(bgr, person, shown))]
        if self.style.boxed:
            canvas = overlay.draw(bgr, shown, params=SIDES_PARAMS)
        else:
            canvas = bgr.copy()
            for figure in figures:
                self._draw_figure(canvas, figure)
        faces = tuple(face for figure in figures if (face := figure.face))
        labels: list[Label] = []
        left_out = 0
        if self.style.named:
            subjects = [_subject(canvas, figure) for figure in sorted(figures, key=lambda one: -one.width)]
            labels, left_out = draw_labels(canvas, subjects, faces)
        bodies = tuple(_body(canvas, figure) for figure in figures)
        taken = [*bodies, *faces, *(label.box for label in labels)]
        if self.style.boxed:
            taken += _headings(canvas, shown)
        if self._legend and figures:
            self._spot = draw_legend(canvas, figures[0].look.legend, taken, self._spot)
        spot = self._spot if figures else None
        return Drawn(canvas, tuple(labels), faces, bodies, spot, left_out)

    def _figure(self, canvas: np.ndarray, person: Person2D, image: People2D) -> _Figure | None:
        skeleton = SKELETONS.get(image.skeleton)
        xy_px, confidence = person.xy_px, person.joint_confidence
        seen = joint_mask(xy_px, confidence, self.visibility_min, image.width, image.height)
        inferred = np.zeros(len(skeleton), bool)
        if self.style.filled:
            filled = self._filler(skeleton.name).fill(xy_px, confidence, seen)
            xy_px, inferred = filled.positions, filled.inferred
            confidence = np.where(inferred, 1.0, filled.confidence)  # its dashes say that it is a guess
        nodes_px = to_canvas(canvas, skeleton.with_virtual(xy_px), image.width, image.height)
        least = np.zeros_like(confidence) if self.style.masked else np.full_like(confidence, LEAST)
        shown = node_mask(skeleton, (confidence >= least) & np.isfinite(xy_px).all(-1))
        shown &= drawable(canvas, nodes_px)
        if not shown.any():
            return None
        return _Figure(
            skeleton,
            np.where(shown[:, None], nodes_px, np.nan),
            skeleton.with_virtual(confidence[:, None])[:, 0],
            ~node_mask(skeleton, ~inferred),
            self.style.look(skeleton, seen),
            bone_width(canvas, nodes_px[shown]),
        )

    def _filler(self, skeleton: str) -> MissingJoints:
        if skeleton not in self._fillers:
            self._fillers[skeleton] = MissingJoints(skeleton)
        return self._fillers[skeleton]

    def _draw_figure(self, canvas: np.ndarray, figure: _Figure) -> None:
        joints, bones = figure.joints, figure.bones
        sure = figure.confidence >= SURE if not self.style.masked else np.ones(len(figure.confidence), bool)
        sure_bones = sure[figure.skeleton.edges].all(-1)[bones]
        ends = np.concatenate([figure.skeleton.edges[bones[~sure_bones]].ravel(), joints[~sure[joints]]])
        if len(ends):
            rows, columns = area(canvas, figure.nodes_px[ends], 3.0 * figure.width)
            below = canvas[rows, columns]
            if below.size:
                layer = below.copy()
                moved = replace(figure, nodes_px=figure.nodes_px - (columns.start, rows.start))
                _draw_limbs(layer, moved, bones[~sure_bones], joints[~sure[joints]])
                cv2.addWeighted(layer, FAINT_ALPHA, below, 1.0 - FAINT_ALPHA, 0.0, dst=below)
        _draw_limbs(canvas, figure, bones[sure_bones], joints[sure[joints]])


def _draw_limbs(layer: np.ndarray, figure: _Figure, bones: np.ndarray, joints: np.ndarray) -> None:
    width, rim = figure.width, rim_of(figure.width)
    lines = figure.nodes_px[figure.skeleton.edges[bones]]
    dashed = figure.inferred[figure.skeleton.edges[bones]].any(-1)
    pieces = [
        dashes(line[None], width) if dash else line[None] for line, dash in zip(lines, dashed, strict=True)
    ]
    for piece in pieces:
        draw_segments(layer, fixed(piece), RIM, width + 2.0 * rim)
    for piece, bone in zip(pieces, bones, strict=True):
        draw_segments(layer, fixed(piece), figure.look.bones[bone], width)
    sizes = radii(figure.skeleton, figure.nodes_px, figure.confidence, width)
    points = fixed(figure.nodes_px)
    for joint in joints:
        draw_disc(layer, points[joint], sizes[joint] + rim, RIM)
        draw_disc(layer, points[joint], sizes[joint], figure.look.joints[joint])
        if figure.inferred[joint]:
            draw_disc(layer, points[joint], HOLLOW * sizes[joint], RIM)


def _body(canvas: np.ndarray, figure: _Figure) -> Box:
    """What holds the drawn person."""
    box = Box.around(figure.nodes_px, 2.0 * figure.width)
    assert box is not None  # something of them is drawn
    return box


def _headings(canvas: np.ndarray, people: People2D) -> list[Box]:
    """Boxes of people with the room above that their ids take."""
    boxes = []
    for person in people.people:
        (left, top), (right, bottom) = to_canvas(
            canvas, person.box_px.reshape(2, 2), people.width, people.height
        ).tolist()
        boxes.append(Box(left, top - 3.0 * text_height(canvas), right, bottom))
    return [box for box in boxes if np.isfinite(box).all()]


def _subject(canvas: np.ndarray, figure: _Figure) -> Subject:
    """The person with the names of their bones, those of trunk and limbs first."""
    skeleton = figure.skeleton
    bones = sorted(figure.bones.tolist(), key=lambda bone: detail(skeleton, bone))
    middles = figure.nodes_px[skeleton.edges].mean(1).tolist()
    names = [Name(bone_text(skeleton, bone), tuple(middles[bone]), figure.look.bones[bone]) for bone in bones]
    return Subject(names, _body(canvas, figure), figure.width)


def transparent(artist: Artist, width: int, height: int, people: People2D) -> np.ndarray:
    """(H, W, 4) uint8 BGRA: the people alone, on nothing.

    Drawn on black and on white; where the two differ the picture lets through.
    """
    black, white = (
        artist.draw(np.full((height, width, 3), level, np.uint8), people).bgr for level in (0, 255)
    )
    cut = np.empty((height, width, 4), np.uint8)
    for top in range(0, height, ROWS):  # so that a large image does not take ten times its size
        dark, light = (picture[top : top + ROWS].astype(np.float32) for picture in (black, white))
        alpha = (255.0 - (light - dark).max(-1, keepdims=True)).clip(0.0, 255.0)
        colour = dark * 255.0 / np.maximum(alpha, 1.0)
        cut[top : top + ROWS] = np.rint(np.concatenate([colour, alpha], -1)).clip(0, 255)
    return cut
