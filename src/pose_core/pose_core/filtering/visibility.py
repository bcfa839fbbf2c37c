"""Which joints and bones can be seen, as masks."""

from __future__ import annotations

import numpy as np

from pose_core.skeleton import Skeleton
from pose_core.types import Array, Sets, SetWeights


def joint_mask(
    xy_px: Sets, confidence: SetWeights, min_confidence: float, width: int = 0, height: int = 0
) -> Array:
    """(..., J) bool: keypoints that are there, sure enough, and inside an image of that size (0: wherever they are).

    Pixels count from the centre of the top left one, so the border is half a pixel out. Never true of confidence 0.
    """
    there: Array = np.isfinite(xy_px).all(-1) & (confidence > 0.0) & (confidence >= min_confidence)
    for axis, size in enumerate((width, height)):
        if size > 0:
            there &= (xy_px[..., axis] > -0.5) & (xy_px[..., axis] < size - 0.5)
    return there


def node_mask(skeleton: Skeleton, joints: Array) -> Array:
    """(..., N) bool from the mask `joints` (..., J): a virtual point can be seen where both of its joints can."""
    pairs = np.array([skeleton.indices(a, b) for _, a, b in skeleton.virtual], np.intp).reshape(-1, 2)
    result: Array = np.concatenate([joints, joints[..., pairs].all(-1)], -1)
    return result


def bone_mask(skeleton: Skeleton, joints: Array) -> Array:
    """(..., B) bool from the mask `joints` (..., J): a bone can be seen where both of its ends can."""
    result: Array = node_mask(skeleton, joints)[..., skeleton.edges].all(-1)
    return result
