"""The camera behind joints whose images are known, for data sets that leave out its intrinsics."""

from __future__ import annotations

import numpy as np

from pose_core.geometry.camera import Camera

LARGEST_RESIDUAL_PX = 2.0
"""Root mean square distance above which the joints and their images do not belong to one pinhole camera."""
FEWEST_POINTS = 6


def fitted_camera(xyz: np.ndarray, xy_px: np.ndarray, width: int, height: int) -> Camera | None:
    """The camera without distortion that sees points (..., 3) of its own frame at pixels (..., 2), None where there is none.

    x_px = fx x / z + cx is linear in fx and cx, and the same for y: two least-squares fits. There is no such camera
    where too few points are known, the fit is worse than LARGEST_RESIDUAL_PX, or a focal length is not positive.
    """
    with np.errstate(all="ignore"):
        plane = (np.asarray(xyz, float)[..., :2] / np.asarray(xyz, float)[..., 2:]).reshape(-1, 2)
    pixels = np.asarray(xy_px, float).reshape(-1, 2)
    good = (
        np.isfinite(plane).all(1)
        & np.isfinite(pixels).all(1)
        & (np.asarray(xyz, float).reshape(-1, 3)[:, 2] > 0.0)
    )
    if np.count_nonzero(good) < FEWEST_POINTS:
        return None
    plane, pixels = plane[good], pixels[good]
    mean, centre = plane.mean(0), pixels.mean(0)
    spread = ((plane - mean) ** 2).sum(0)
    if not (spread > 0.0).all():
        return None
    focal = ((plane - mean) * (pixels - centre)).sum(0) / spread
    principal = centre - focal * mean
    residual = np.sqrt(((pixels - focal * plane - principal) ** 2).sum(1).mean())
    if not residual <= LARGEST_RESIDUAL_PX or not (focal > 0.0).all():
        return None
    matrix = np.array([[focal[0], 0.0, principal[0]], [0.0, focal[1], principal[1]], [0.0, 0.0, 1.0]])
    return Camera(width, height, matrix, source="fitted")
