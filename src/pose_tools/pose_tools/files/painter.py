"""How `pose draw` makes a picture of an image and the people in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lift3d_node.intrinsics import Intrinsics
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose2d_node.detector import open_detector
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.params import Pose2DParams
from pose2d_node.tracker import Tracker
from pose_core.conversion import conversion
from pose_core.geometry.calibration import read_camera
from pose_core.geometry.camera import Camera
from pose_core.people import People2D, People3D
from pose_viz.drawing.artist import Artist, transparent
from pose_viz.drawing.space import Space, panel_width
from pose_viz.drawing.styles import Style

OPAQUE = 255


def open_estimator(params: Pose2DParams) -> Pose2DEstimator:
    """Finds people and counts them from p1 on: the same images give the same pictures. Raises ValueError as `open_detector`."""
    return Pose2DEstimator(open_detector(params), Tracker(params.max_track_gap, params.min_track_similarity))


@dataclass(frozen=True)
class Painting:
    """What is drawn of people; see `DrawJob`."""

    style: Style
    skeleton: str
    visibility_min: float
    legend: bool
    transparent: bool
    with_3d: bool
    lift3d: Lift3DParams


class Painter:
    """Draws images of one recording one after the other, or single ones with `forget` in between."""

    def __init__(self, painting: Painting, calibration: str = "", camera: Camera | None = None) -> None:
        """`calibration`: file of that of the camera; else `camera`, else a usual angle of view.

        Raises ValueError for what cannot be drawn or lifted so.
        """
        self._painting = painting
        self._lifter = PeopleLifter(painting.lift3d) if painting.with_3d else None
        self._intrinsics = Intrinsics(painting.lift3d.field_of_view_deg)
        camera = read_camera(calibration) if calibration else camera
        if camera is not None:
            self._intrinsics.hear(camera)
        if self._lifter is not None:
            lifted = self._lifter.lifter.skeleton_out
            if not conversion(lifted, painting.skeleton).known.any():
                raise ValueError(
                    f"lifter '{painting.lift3d.lifter}' gives joints of '{lifted}', none of which is in '{painting.skeleton}'; "
                    "choose another skeleton, or leave --with-3d out"
                )
        self.left_out = 0
        """Names that found no room so far."""
        self.without_legend = 0
        """Pictures in which the legend found no room."""
        self.forget()

    def forget(self) -> None:
        """What comes next is another picture, not the next image of a recording."""
        painting = self._painting
        self._artist = Artist(
            painting.style, painting.skeleton, visibility_min=painting.visibility_min, legend=painting.legend
        )
        self._space = Space(painting.style, painting.skeleton)

    def paint(self, bgr: np.ndarray, people: People2D, world: People3D | None = None) -> np.ndarray:
        """The picture, (H, W, 3) uint8 BGR, or (H, W, 4) where it is transparent. Raises ValueError as `Artist.draw` does."""
        height, width = bgr.shape[:2]
        if self._painting.transparent:
            picture = transparent(self._artist, width, height, people)
        else:
            drawn = self._artist.draw(bgr, people)
            picture = drawn.bgr
            self.left_out += drawn.left_out
            wanted = self._painting.legend and people.people and not self._painting.style.flat
            self.without_legend += bool(wanted and drawn.legend is None)
        if self._lifter is None:
            return picture
        down = picture.shape[0]
        panel = self._space.draw(self._lifted(people, world), panel_width(width, height), down)
        if picture.shape[2] == 4:
            panel = np.concatenate([panel, np.full((*panel.shape[:2], 1), OPAQUE, np.uint8)], -1)
        return np.concatenate([picture, panel], 1)

    def _lifted(self, people: People2D, world: People3D | None) -> People3D:
        assert self._lifter is not None
        self._lifter.check(people)
        if not self._lifter.lifter.uses_world:
            world = None
        elif world is None:
            raise ValueError(
                f"lifter '{self._lifter.lifter.name}' needs the detector's own 3D, which the input does not hold; choose "
                "another one"
            )
        return self._lifter.process(people, world, self._intrinsics.of(people.width, people.height))

    def said(self) -> list[str]:
        """What there is to say about what was drawn."""
        sentences = []
        if self.left_out:
            sentences.append(f"{self.left_out} names found no room; a larger image has it")
        if self.without_legend:
            sentences.append(f"the legend found no room off people in {self.without_legend} images")
        return sentences
