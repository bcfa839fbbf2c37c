"""Keypoints as a lifting network sees them: rays turned to the person and divided by the person's size in the image.

What a network sees then depends neither on where in the image a person stands, nor on focal length, lens or resolution; how far
away the person is remains visible through the angular size, because near people look different (perspective). Training and
run time share this file: an encoding that differs between the two is the classic silent fault.

The centre of a view is the mean ray of the body's joints, weighted by confidence, and its size their root mean square distance
from it: unlike a bounding box both move smoothly when single keypoints jitter or fade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lift3d_node.geometry import view_rotation
from pose_core.filtering.missing_joints import MissingJoints
from pose_core.skeleton import SKELETONS

VERSION = 1
"""Stands in every checkpoint; changes with anything that changes the numbers below."""

CONTEXT = ("log_size", "motion_x", "motion_y", "log_growth", "log_step")
"""What describes the view as a whole: see `Encoder.context`."""
UP = ("up_x", "up_y", "up_z")
"""What is added to that for networks that ask for it: the direction that points up, in the axes of the view; 0 where unknown."""

BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
"""Joints, by a part of the name, that make centre and size; the nose stands for the head. Skeletons differ in all others."""
HEAD = "nose"

NOMINAL_STEP = 1.0 / 30.0
MIN_STEP, MAX_STEP = 1.0 / 120.0, 0.5
"""Seconds between two images; beyond them steps count as these."""
MEAN_LOG_SIZE = -2.0
"""Takes the mean of log size towards 0: people at 1 to 8 m span 0.06 to 0.4."""
MAX_MOTION = 3.0
"""Bound on what happens between two images, so that a jump to another place stays a number that networks have seen."""
MAX_OFFSET = 8.0
"""Bound on a keypoint's distance from the centre, in sizes; sure joints lie within 3."""
MIN_SIZE = 1e-4
MIN_COSINE = 0.1
"""Rays more than 84 degrees from the centre are taken for that: the plane of the view ends there."""


@dataclass(frozen=True)
class View:
    """A person as seen from the camera turned towards it; leading axes are those of the keypoints."""

    joints: np.ndarray  # (..., J, 3) float32: x, y in sizes, confidence; all 0 where missing
    R_cam_view: np.ndarray  # (..., 3, 3); identity where nothing is seen
    size: np.ndarray  # (...,) tangent of the angular size; NaN where nothing is seen


INFER_MISSING = "infer_missing"
"""Field in the configuration of networks that want joints which were not seen to be inferred from those that were."""
TAKES_UP = "takes_up"
"""Field in the configuration of networks that want to be told, where it is known, which direction points up."""


def context_names(config: Mapping[str, object]) -> tuple[str, ...]:
    """Numbers that describe a view as a whole, for a network of this configuration."""
    return CONTEXT + UP if config.get(TAKES_UP, False) else CONTEXT


class Encoder:
    """Encodes keypoints of one skeleton, given by its name."""

    def __init__(self, skeleton: str, config: Mapping[str, object] | None = None) -> None:
        """`config`: that of the network, which may ask to `INFER_MISSING` and for `UP` (`TAKES_UP`).

        Raises ValueError where it does and nothing can be inferred in that skeleton.
        """
        config = config or {}
        infers = bool(config.get(INFER_MISSING, False))
        self._names = context_names(config)
        self._missing = MissingJoints(skeleton) if infers else None
        joints = SKELETONS.get(skeleton).joints
        self._weights = np.array(
            [float(joint == HEAD or any(part in BODY for part in joint.split("_"))) for joint in joints]
        )

    def view(self, xy: np.ndarray, confidence: np.ndarray) -> View:
        """Keypoints `xy` (..., J, 2), undistorted normalised image coordinates x / z and y / z, NaN where missing.

        Nothing is seen where fewer than two joints of the body have a confidence above 0, or all are in one place.
        """
        if self._missing is not None:
            filled = self._missing.fill(xy, confidence)
            xy, confidence = filled.positions, filled.confidence
        known = np.isfinite(xy).all(-1) & (confidence > 0.0)
        confidence = np.where(known, np.minimum(confidence, 1.0), 0.0)
        xy = np.where(known[..., None], xy, 0.0)
        weights = confidence * self._weights
        total = weights.sum(-1)
        share = weights / np.maximum(total, 1e-12)[..., None]
        rays = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], -1)
        rays /= np.sqrt(1.0 + np.einsum("...i,...i->...", xy, xy))[..., None]
        centre = np.einsum("...j,...ji->...i", share, rays)
        length = np.sqrt(np.einsum("...i,...i->...", centre, centre))
        centre = np.where(
            (total > 0.0)[..., None], centre / np.maximum(length, 1e-12)[..., None], (0.0, 0.0, 1.0)
        )
        R_cam_view = view_rotation(centre)
        turned = rays @ R_cam_view
        plane = turned[..., :2] / np.maximum(turned[..., 2:], MIN_COSINE)
        size = np.sqrt(np.einsum("...j,...ji,...ji->...", share, plane, plane))
        seen = ((weights > 0.0).sum(-1) >= 2) & (size >= MIN_SIZE)
        size = np.where(seen, size, np.nan)
        joints = np.zeros((*xy.shape[:-1], 3), np.float32)
        shown = known & seen[..., None]
        scaled = np.clip(plane / np.where(seen, size, 1.0)[..., None, None], -MAX_OFFSET, MAX_OFFSET)
        joints[..., :2] = np.where(shown[..., None], scaled, 0.0)
        joints[..., 2] = np.where(shown, confidence, 0.0)
        R_cam_view = np.where(seen[..., None, None], R_cam_view, np.eye(3))
        return View(joints, R_cam_view, size)

    def context(
        self, view: View, previous: View | None, step: np.ndarray | float, up: np.ndarray | None = None
    ) -> np.ndarray:
        """(..., C) float32, `context_names`: log size; how the centre moved since the `previous` view, in its axes and sizes;
        log of the size's growth; log of the `step` in seconds over a nominal one of 1/30 s; and, for networks that take it, the
        unit vector `up` (..., 3), which has camera axes and is NaN where unknown.

        Without a previous view, or where either saw nothing, nothing moved and the step is nominal.
        """
        context = np.zeros((*view.size.shape, len(self._names)), np.float32)
        if up is not None and len(self._names) > len(CONTEXT):
            turned = np.einsum("...ji,...j->...i", view.R_cam_view, up)
            context[..., len(CONTEXT) :] = np.nan_to_num(turned)
        seen = np.isfinite(view.size)
        size = np.where(seen, view.size, 1.0)
        context[..., 0] = np.where(seen, np.log(size) - MEAN_LOG_SIZE, 0.0)
        if previous is None:
            return context
        both = seen & np.isfinite(previous.size)
        before = np.where(both, previous.size, 1.0)
        centre = np.einsum("...ji,...j->...i", previous.R_cam_view, view.R_cam_view[..., 2])
        motion = centre[..., :2] / np.maximum(centre[..., 2:], MIN_COSINE) / before[..., None]
        context[..., 1:3] = np.where(both[..., None], np.clip(motion, -MAX_MOTION, MAX_MOTION), 0.0)
        context[..., 3] = np.where(both, np.clip(np.log(size / before), -MAX_MOTION, MAX_MOTION), 0.0)
        step = np.clip(np.where(np.isfinite(step), step, NOMINAL_STEP), MIN_STEP, MAX_STEP)
        context[..., 4] = np.where(both, np.log(step / NOMINAL_STEP), 0.0)
        return context

    def sequence(
        self,
        xy: np.ndarray,
        confidence: np.ndarray,
        step: np.ndarray | float,
        up: np.ndarray | None = None,
    ) -> tuple[View, np.ndarray]:
        """View and context of whole sequences: `xy` (..., T, J, 2), `step` (...,) or (..., T) seconds before each frame, `up`
        (..., T, 3).

        The same numbers as frame by frame.
        """
        view = self.view(xy, confidence)
        # The first frame's predecessor saw nothing.
        axis = view.size.ndim - 1
        size = np.roll(view.size, 1, axis)
        size[..., 0] = np.nan
        before = View(np.roll(view.joints, 1, axis), np.roll(view.R_cam_view, 1, axis), size)
        step = np.asarray(step, float)
        step = step if step.ndim == view.size.ndim else step[..., None]
        return view, self.context(view, before, np.broadcast_to(step, view.size.shape), up)
