"""An average person who stands upright with hanging arms."""

from __future__ import annotations

import numpy as np

from pose_core.conversion import conversion
from pose_core.skeleton import MEDIAPIPE33, mirror
from pose_core.types import Array

STANDING = {
    # Heights: Drillis & Contini 1966, "Body segment parameters", as in Winter, "Biomechanics and Motor Control of Human
    # Movement", 4th ed. 2009, figure 4.1; upper arm 0.186, forearm 0.146, foot 0.152. Half widths between joint centres: medians
    # of 12 people of the CMU motion capture (the figure gives breadths of the body).
    "left_shoulder": (0.106, 0.818, 0.0),
    "left_elbow": (0.106, 0.632, 0.0),
    "left_wrist": (0.106, 0.486, 0.0),
    "left_hip": (0.051, 0.530, 0.0),
    "left_knee": (0.051, 0.285, 0.0),
    "left_ankle": (0.051, 0.039, 0.0),
    "left_heel": (0.051, 0.005, -0.029),
    "left_foot_index": (0.051, 0.005, 0.123),
    # Knuckles, of a palm 0.09 by 0.08 m, thumb forward; a face with eyes 0.936 high (same figure), 0.14 m broad, 0.195 m long,
    # 0.063 m between the pupils; both of a person of 1.75 m.
    "left_index": (0.106, 0.435, 0.014),
    "left_pinky": (0.106, 0.441, -0.020),
    "left_thumb": (0.106, 0.457, 0.029),
    "nose": (0.0, 0.914, 0.064),
    "left_eye_inner": (0.010, 0.936, 0.053),
    "left_eye": (0.018, 0.936, 0.050),
    "left_eye_outer": (0.026, 0.936, 0.045),
    "left_ear": (0.042, 0.926, 0.0),
    "mouth_left": (0.014, 0.891, 0.053),
}
"""An average person who stands: x to the person's left, y up from the floor, z forward, in standing heights."""


def standing_joints(skeleton: str) -> Array:
    """(J, 3) joints of the standing person in a skeleton; NaN for those that nothing tells."""
    person = np.full((len(MEDIAPIPE33), 3), np.nan)
    for name, (x, y, z) in STANDING.items():
        person[MEDIAPIPE33.index(name)] = x, y, z
        person[MEDIAPIPE33.index(mirror(name))] = -x, y, z
    joints, _ = conversion(MEDIAPIPE33.name, skeleton).apply(person, np.ones(len(person)))
    return np.round(joints, 9)  # so that the middle of left and right is exactly in the middle
