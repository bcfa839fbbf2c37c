"""From the joints of motion capture to the joints of our skeletons.

Joint centres are means of captured joints. What motion capture does not see (face, hands, feet, the top of the head) sits at an
offset in the axes of the segment that carries it. Every point is then linear in the captured joints and the segments'
rotations:  p = M x + R_segment o.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pose_core.skeleton import SKELETONS, mirror
from pose_train.data.mocap import JOINTS, SEGMENTS

REFERENCE_HEIGHT = 1.75
"""Standing height in metres for which the offsets below hold; they grow with the person."""

# Captured joints and their weights, which sum to 1.
Mean = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Point:
    """A point of the left side or the middle: mean of captured joints, plus an offset in the axes of the segment that carries
    it (if one does), metres."""

    of: Mean
    segment: str = ""
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


def _at(*joints: str) -> Mean:
    return tuple((joint, 1.0 / len(joints)) for joint in joints)


# Segment axes: +x the person's left, +y up (head: crown; hand: its back; foot: out of the sole upwards), +z forward (head: face;
# foot: toes); of the left hand +x the fingers and +z the thumb. The head's joint is the centre of the head band, 0.10 m below the
# crown. Offsets are of an average adult: face breadth 0.14, between the pupils 0.063, head length 0.195, eyes 0.11 below the
# crown, mouth 0.075 below the eyes, palm 0.09 by 0.08 m.
FACE = {
    "nose": (0.0, -0.055, 0.112),
    "left_eye_inner": (0.017, -0.018, 0.092),
    "left_eye": (0.032, -0.018, 0.088),
    "left_eye_outer": (0.046, -0.018, 0.078),
    "left_ear": (0.074, -0.035, 0.000),
    "mouth_left": (0.025, -0.095, 0.092),
    "head_top": (0.0, 0.10, 0.0),
}
HAND = {
    "left_index": (0.090, 0.0, 0.025),
    "left_pinky": (0.078, 0.0, -0.035),
    "left_thumb": (0.050, -0.010, 0.050),
}
LIMBS = {
    "left_shoulder": _at("lclavicle"),
    "left_elbow": _at("lhumerus"),
    "left_wrist": _at("lwrist"),
    "left_hip": _at("lhipjoint"),
    "left_knee": _at("lfemur"),
    "left_ankle": _at("ltibia"),
}
CENTRES = {
    **{name: Point(of) for name, of in LIMBS.items()},
    **{name: Point(_at("head"), "head", offset) for name, offset in FACE.items()},
    "pelvis": Point(_at("lhipjoint", "rhipjoint")),
    # Human3.6M's spine is about half way from pelvis to neck.
    "spine": Point(_at("lowerback", "upperback")),
    "neck": Point(_at("thorax")),
}
"""How `h36m17` is made: centres of rotation."""
HIP_OUTWARD = 0.015
"""Metres by which hips in images lie beside the centre of rotation: people mark them, and networks learn them, nearer to the
body's outline. An assumption; Human3.6M's lie even farther out."""
LANDMARKS = {
    **CENTRES,
    "left_shoulder": Point(LIMBS["left_shoulder"], "thorax"),
    "left_hip": Point(LIMBS["left_hip"], "pelvis", (HIP_OUTWARD, 0.0, 0.0)),
    **{name: Point(_at("lwrist"), "lhand", offset) for name, offset in HAND.items()},
    "left_heel": Point(_at("ltibia"), "lfoot", (0.0, -0.06, -0.05)),
    "left_foot_index": Point(_at("lfoot"), "lfoot", (0.0, -0.015, 0.05)),
}
"""How `mediapipe33` and `coco17` are made: points as detectors see them."""
POINTS_OF_28 = {
    **CENTRES,
    "spine": Point(_at("lowerback")),
    "spine2": Point(_at("upperback")),
    "spine3": Point(_at("upperback", "thorax")),
    "spine4": Point(_at("thorax")),
    "neck": Point(_at("lowerneck")),
    "head": Point(_at("upperneck")),
    "left_clavicle": Point((("thorax", 0.8), ("lclavicle", 0.2))),
    "left_hand": Point(_at("lhand")),
    "left_foot": Point(_at("lfoot")),
    "left_toe": Point(_at("lfoot"), "lfoot", (0.0, -0.015, 0.05)),
}
"""How `mpi_inf28` is made, whose spine has four joints and whose neck is higher."""
TABLES = {"mediapipe33": LANDMARKS, "coco17": LANDMARKS, "h36m17": CENTRES, "mpi_inf28": POINTS_OF_28}

HINGES = ("elbow", "wrist", "knee", "ankle")
"""Landmarks that are placed differently along the bone before them, from person to person."""


@dataclass(frozen=True)
class Placing:
    """Where on n people a detector places its landmarks, against the mean over people."""

    offsets: (
        np.ndarray
    )  # (n, C, 3) in the axes of the segments that carry them, metres for `REFERENCE_HEIGHT`
    along: np.ndarray  # (n, H) share of the bone before each hinge by which it lies farther up


def _captured_mirror(name: str) -> str:
    return {"l": "r", "r": "l"}[name[0]] + name[1:] if name[0] in "lr" and name[1:] in _SIDED else name


_SIDED = {
    name[1:] for name in (*JOINTS, *SEGMENTS) if name[0] == "l" and "r" + name[1:] in (*JOINTS, *SEGMENTS)
}
MIRRORED_JOINTS = np.array([JOINTS.index(_captured_mirror(name)) for name in JOINTS])
MIRRORED_SEGMENTS = np.array([SEGMENTS.index(_captured_mirror(name)) for name in SEGMENTS])
"""Permutations that relabel a mirrored person."""


def _mirrored(point: Point) -> Point:
    x, y, z = point.offset
    of = tuple((_captured_mirror(joint), weight) for joint, weight in point.of)
    return Point(of, _captured_mirror(point.segment) if point.segment else "", (-x, y, z))


class Landmarks:
    """The points of one skeleton. Raises ValueError for a skeleton that nothing here says how to make."""

    def __init__(self, skeleton: str) -> None:
        known = SKELETONS.get(skeleton)
        joints, table = known.joints, TABLES.get(skeleton, {})
        points = []
        for joint in joints:
            if joint in table:
                points.append(table[joint])
            elif mirror(joint) in table:
                points.append(_mirrored(table[mirror(joint)]))
            else:
                raise ValueError(
                    f"joint '{joint}' of skeleton '{skeleton}' cannot be made from motion capture"
                )
        self.matrix = np.zeros((len(joints), len(JOINTS)), np.float32)
        for row, point in enumerate(points):
            for joint, weight in point.of:
                self.matrix[row, JOINTS.index(joint)] += weight
        offsets = np.array([point.offset for point in points], np.float32)
        self.carried = np.flatnonzero(offsets.any(1) | np.array([point.segment != "" for point in points]))
        """(C,) rows of the points that a segment carries."""
        self.hinges = np.array(
            [row for row, joint in enumerate(joints) if joint.split("_")[-1] in HINGES], np.intp
        )
        """(H,) rows of the joints that lie somewhere along the bone before them."""
        self._before = known.parents[self.hinges]
        self.segments = np.array([SEGMENTS.index(points[row].segment) for row in self.carried], np.intp)
        """(C,) the segments that carry them."""
        self.offsets = offsets[self.carried]
        """(C, 3) metres, for `REFERENCE_HEIGHT`."""

    def placing(self, people: int, std: float, random: np.random.Generator) -> Placing:
        """Offsets of standard deviation `std` metres along each axis, the same on the left and on the right by chance alone."""
        offsets = std * random.standard_normal((people, len(self.carried), 3), np.float32)
        # A forearm or shank of 0.3 m on average.
        return Placing(offsets, std / 0.3 * random.standard_normal((people, len(self.hinges)), np.float32))

    def of(
        self, xyz: np.ndarray, rotations: np.ndarray, size: np.ndarray, placing: Placing | None = None
    ) -> np.ndarray:
        """Points (..., J, 3) of captured joints (..., 31, 3) and segment rotations (..., 7, 3, 3), segment to world.

        `size` (...,): height of the person over `REFERENCE_HEIGHT`. With a `placing`, leading axes are (n, T).
        """
        points = np.matmul(self.matrix, xyz)
        offsets = self.offsets if placing is None else self.offsets + placing.offsets[:, None]
        points[..., self.carried, :] += (
            np.asarray(size)[..., None, None]
            * np.matmul(rotations[..., self.segments, :, :], offsets[..., None])[..., 0]
        )
        if placing is not None:
            up = points[..., self._before, :] - points[..., self.hinges, :]
            points[..., self.hinges, :] += placing.along[:, None, :, None] * up
        return points
