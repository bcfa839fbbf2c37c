"""A body of rigid segments that joint coordinates put together: joints and markers of which every angle is known.

Coordinates are named, signed and ordered as in the OpenSim model of A. Rajagopal et al., "Full-body musculoskeletal model for
muscle-driven simulation of human gait", IEEE Trans. Biomed. Eng. 63, 2016: three turns in a row about the axes Z, X' and Y'' of
the moving segment. Dimensions are our own. Nothing here uses `refine_node`, whose angles are checked against it.

Segments have X forward, Y up and Z to the right; the left of the body is the mirror image of the right (z is -z).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pose_core.markers import WORLD_FROM_CAMERA
from pose_core.skeleton import SKELETONS, Skeleton, side

Vector = tuple[float, float, float]
Values = Mapping[str, float | np.ndarray]
"""Coordinates by name: degrees, and metres for those of `PLACE`."""

SIDES = {"right": "r", "left": "l"}

RANGES: Mapping[str, tuple[float, float]] = {
    "pelvis_tilt": (-90.0, 90.0),
    "pelvis_list": (-90.0, 90.0),
    "pelvis_rotation": (-90.0, 90.0),
    "lumbar_extension": (-90.0, 90.0),
    "lumbar_bending": (-90.0, 90.0),
    "lumbar_rotation": (-90.0, 90.0),
    **{
        f"{name}_{letter}": limits
        for letter in SIDES.values()
        for name, limits in {
            "hip_flexion": (-30.0, 120.0),
            "hip_adduction": (-50.0, 30.0),
            "hip_rotation": (-40.0, 40.0),
            "knee_angle": (0.0, 120.0),
            "ankle_angle": (-40.0, 30.0),
            "subtalar_angle": (-20.0, 20.0),
            "arm_flex": (-90.0, 90.0),
            "arm_add": (-120.0, 90.0),
            "arm_rot": (-90.0, 90.0),
            "elbow_flex": (0.0, 150.0),
            "pro_sup": (0.0, 160.0),
        }.items()
    },
}
"""Degrees between which the model lets its coordinates go; but forearms turn on beyond its 90, until the palm is down."""
PLACE = ("pelvis_tx", "pelvis_ty", "pelvis_tz")
"""Where the middle of the hips is, metres."""
ISB_SHOULDER = ("shoulder_plane", "shoulder_elevation", "shoulder_axial")
"""With `_r` or `_l`, in place of the three of the arm: turns about Y, X' and Y'' as G. Wu et al. 2005 name them. A plane of 0 is
abduction, of 90 forward flexion; the elevation counts upwards."""

TRUNK = 0.50
SHOULDER = 0.18
HIP = 0.085

POINTS: Mapping[str, tuple[str, Vector]] = {
    "pelvis": ("pelvis", (0.0, 0.0, 0.0)),
    "right_hip": ("pelvis", (0.0, 0.0, HIP)),
    "right_asis": ("pelvis", (0.06, 0.09, 0.12)),
    "right_psis": ("pelvis", (-0.10, 0.09, 0.045)),
    "neck": ("thorax", (0.0, TRUNK, 0.0)),
    "right_shoulder": ("thorax", (0.0, TRUNK, SHOULDER)),
    "right_acromion": ("thorax", (0.0, TRUNK + 0.04, SHOULDER)),
    "c7": ("thorax", (-0.08, TRUNK + 0.04, 0.0)),
    "nose": ("thorax", (0.11, TRUNK + 0.18, 0.0)),
    "right_eye_inner": ("thorax", (0.09, TRUNK + 0.21, 0.017)),
    "right_eye": ("thorax", (0.09, TRUNK + 0.21, 0.032)),
    "right_eye_outer": ("thorax", (0.08, TRUNK + 0.21, 0.046)),
    "right_ear": ("thorax", (0.01, TRUNK + 0.19, 0.074)),
    "mouth_right": ("thorax", (0.09, TRUNK + 0.13, 0.025)),
    "head_top": ("thorax", (0.0, TRUNK + 0.32, 0.0)),
    "right_knee": ("right_femur", (0.0, -0.42, 0.0)),
    "right_knee_lateral": ("right_femur", (0.0, -0.42, 0.052)),
    "right_knee_medial": ("right_femur", (0.0, -0.42, -0.052)),
    "right_thigh1": ("right_femur", (0.02, -0.15, 0.07)),
    "right_thigh2": ("right_femur", (0.08, -0.23, 0.01)),
    "right_thigh3": ("right_femur", (0.01, -0.31, 0.06)),
    "right_ankle": ("right_tibia", (0.0, -0.40, 0.0)),
    "right_ankle_lateral": ("right_tibia", (0.0, -0.40, 0.04)),
    "right_ankle_medial": ("right_tibia", (0.0, -0.40, -0.04)),
    "right_shank1": ("right_tibia", (0.0, -0.13, 0.05)),
    "right_shank2": ("right_tibia", (0.04, -0.22, 0.0)),
    "right_shank3": ("right_tibia", (0.01, -0.30, 0.05)),
    "right_heel": ("right_foot", (-0.06, -0.07, 0.0)),
    "right_foot_index": ("right_foot", (0.17, -0.07, 0.0)),
    "right_big_toe": ("right_foot", (0.16, -0.07, -0.035)),
    "right_small_toe": ("right_foot", (0.16, -0.07, 0.035)),
    "right_toe_marker": ("right_foot", (0.19, -0.07, 0.0)),
    "right_fifth_metatarsal": ("right_foot", (0.12, -0.07, 0.06)),
    "right_elbow": ("right_humerus", (0.0, -0.29, 0.0)),
    "right_elbow_lateral": ("right_humerus", (0.0, -0.29, 0.04)),
    "right_elbow_medial": ("right_humerus", (0.0, -0.29, -0.04)),
    "right_wrist": ("right_forearm", (0.0, -0.25, 0.0)),
    "right_wrist_radial": ("right_forearm", (0.0, -0.25, 0.055)),
    "right_wrist_ulnar": ("right_forearm", (0.0, -0.25, 0.0)),
    "right_index": ("right_forearm", (0.0, -0.34, 0.05)),
    "right_pinky": ("right_forearm", (0.0, -0.33, -0.015)),
    "right_thumb": ("right_forearm", (0.03, -0.30, 0.07)),
}
"""Points by name: the segment that carries them, and where in its axes, metres. Those of the left follow."""

MADE_OF: Mapping[str, tuple[str, ...]] = {"spine": ("pelvis", "neck"), "head": ("head_top",)}
"""Joints of skeletons that are no points themselves, but the mean of these."""

MARKERS: Mapping[str, str] = {
    "Hip": "pelvis",
    "Neck": "neck",
    "Head": "head_top",
    "Nose": "nose",
    "C7_study": "c7",
    **{
        name.format(R=big, r=small): f"{body}_{point}"
        for body, big, small in (("right", "R", "r"), ("left", "L", "L"))
        for name, point in {
            "{R}Hip": "hip",
            "{R}Knee": "knee",
            "{R}Ankle": "ankle",
            "{R}BigToe": "big_toe",
            "{R}SmallToe": "small_toe",
            "{R}Heel": "heel",
            "{R}Shoulder": "shoulder",
            "{R}Elbow": "elbow",
            "{R}Wrist": "wrist",
            "{R}HJC_study": "hip",
            "{r}.ASIS_study": "asis",
            "{r}.PSIS_study": "psis",
            "{r}_knee_study": "knee_lateral",
            "{r}_mknee_study": "knee_medial",
            "{r}_ankle_study": "ankle_lateral",
            "{r}_mankle_study": "ankle_medial",
            "{r}_toe_study": "toe_marker",
            "{r}_5meta_study": "fifth_metatarsal",
            "{r}_calc_study": "heel",
            "{r}_shoulder_study": "acromion",
            "{r}_thigh1_study": "thigh1",
            "{r}_thigh2_study": "thigh2",
            "{r}_thigh3_study": "thigh3",
            "{r}_sh1_study": "shank1",
            "{r}_sh2_study": "shank2",
            "{r}_sh3_study": "shank3",
            "{r}_lelbow_study": "elbow_lateral",
            "{r}_melbow_study": "elbow_medial",
            "{r}_lwrist_study": "wrist_radial",
            "{r}_mwrist_study": "wrist_ulnar",
        }.items()
    },
}
"""Points of the body that markers sit on: the 22 of Pose2Sim and the 43 that its augmentation adds."""


@dataclass(frozen=True)
class Body:
    """What a body does that two or three joints in a row cannot show. All of it is 0 in `PLAIN`."""

    lumbar: Vector = (0.0, 0.0, 0.0)
    """Where the trunk turns against the pelvis, metres from the middle of the hips. Upright, the neck is straight above these."""
    knee_abduction: float = 0.0
    """Degrees by which a knee that is bent by 90 degrees is abducted; it grows with the sine."""
    knee_rotation: float = 0.0
    """The same of internal rotation."""
    carrying: float = 0.0
    """Degrees by which the forearm is abducted from the upper arm."""
    toe_out: float = 0.0
    """Degrees by which the foot points outwards from its segment's X."""
    toe_down: float = 0.0
    """Degrees by which the toes are lower than the heel when the ankle is at 0."""
    subtalar_axis: Vector = (1.0, 0.0, 0.0)
    """In the axes of the right foot."""


PLAIN = Body()
"""Segments whose axes joints alone tell, as soon as knees and elbows are bent and the trunk is neither bent forward nor back."""
LIFELIKE = Body(
    lumbar=(-0.03, 0.12, 0.0),
    knee_abduction=2.0,
    knee_rotation=14.0,
    carrying=11.0,
    toe_out=7.0,
    toe_down=4.0,
    subtalar_axis=(0.78, 0.60, -0.17),
)
"""About what anatomy says: the third lumbar vertebra, the tibia's rotation of the Rajagopal model's knee, the carrying angle, and
its subtalar axis."""


@dataclass(frozen=True)
class Placed:
    """Segments in space, in the frame of files: X forward, Y up, Z right."""

    body: Body
    rotation: dict[str, np.ndarray]
    """(..., 3, 3) by segment: from its axes to the world's."""
    origin: dict[str, np.ndarray]
    """(..., 3) metres."""

    def point(self, name: str) -> np.ndarray:
        """(..., 3) metres, one of `POINTS` of either side."""
        segment, offset = carried(self.body, name)
        return self.origin[segment] + self.rotation[segment] @ offset

    def joints(self, skeleton: str) -> np.ndarray:
        """(..., J, 3) metres. Raises ValueError for a joint that the body does not have."""
        points = points_of(SKELETONS.get(skeleton))
        return np.stack([np.mean([self.point(name) for name in names], 0) for names in points], -2)

    def markers(self) -> np.ndarray:
        """(..., M, 3) metres, in the order of `MARKERS`."""
        return np.stack([self.point(name) for name in MARKERS.values()], -2)

    def relative(self, parent: str, child: str) -> np.ndarray:
        """(..., 3, 3) the turn of a segment against another."""
        return np.swapaxes(self.rotation[parent], -1, -2) @ self.rotation[child]


def place(values: Values, body: Body = PLAIN, pelvis_sequence: str = "ZXY") -> Placed:
    """The body with these coordinates; those that are not named are 0. Arrays of one shape give as many bodies.

    `pelvis_sequence`: the order of tilt (Z), list (X) and rotation (Y), OpenSim's unless another is stated. Raises ValueError
    for names that do not exist.
    """
    known = (*RANGES, *PLACE, *(f"{name}_{letter}" for name in ISB_SHOULDER for letter in SIDES.values()))
    for name in values:
        if name not in known:
            raise ValueError(f"no coordinate is called '{name}'; there are {', '.join(known)}")
    shape = np.broadcast_shapes(*map(np.shape, values.values()))
    whole = dict.fromkeys(known, np.zeros(shape))
    whole |= {name: np.broadcast_to(np.asarray(value, float), shape) for name, value in values.items()}

    def of(*names: str) -> list[np.ndarray]:
        return [whole[name] for name in names]

    about = dict(zip("ZXY", of("pelvis_tilt", "pelvis_list", "pelvis_rotation"), strict=True))
    pelvis = turned(pelvis_sequence, *(about[axis] for axis in pelvis_sequence))
    trunk = turned("ZXY", *of("lumbar_extension", "lumbar_bending", "lumbar_rotation"))
    placed = Placed(body, {"pelvis": pelvis, "thorax": pelvis @ trunk}, {"pelvis": np.stack(of(*PLACE), -1)})
    placed.origin["thorax"] = placed.origin["pelvis"] + pelvis @ np.array(body.lumbar)
    for name, letter in SIDES.items():
        by_isb = any(f"{one}_{letter}" in values for one in ISB_SHOULDER)
        turns = _limbs(body, lambda *names, letter=letter: of(*(f"{one}_{letter}" for one in names)), by_isb)
        for (parent, at, child), turn in turns.items():
            above, segment = parent.format(name), f"{name}_{child}"
            mirror = _mirror(name)
            placed.rotation[segment] = placed.rotation[above] @ (mirror @ turn @ mirror)
            placed.origin[segment] = placed.point(f"{name}_{at}")
    return placed


def _limbs(
    body: Body, of: Callable[..., list[np.ndarray]], by_isb: bool
) -> dict[tuple[str, str, str], np.ndarray]:
    """Of the right side: parent, the point at which it carries the child, and the child; and how that is turned (..., 3, 3).

    `by_isb`: the shoulder has the three angles of `ISB_SHOULDER`.
    """
    plane, elevation, axial = of(*ISB_SHOULDER)
    knee, ankle, subtalar = of("knee_angle", "ankle_angle", "subtalar_angle")
    elbow, pronation = of("elbow_flex", "pro_sup")
    arm = (
        turned("YXY", plane, -elevation, axial)
        if by_isb
        else turned("ZXY", *of("arm_flex", "arm_add", "arm_rot"))
    )
    return {
        ("pelvis", "hip", "femur"): turned("ZXY", *of("hip_flexion", "hip_adduction", "hip_rotation")),
        ("{}_femur", "knee", "tibia"): turned("ZXY", -knee, *knee_extra(body, knee)),
        ("{}_tibia", "ankle", "foot"): turned("Z", ankle) @ about_axis(body.subtalar_axis, subtalar),
        ("thorax", "shoulder", "humerus"): arm,
        ("{}_humerus", "elbow", "forearm"): turned("ZXY", elbow, -body.carrying, pronation),
    }


def mirrored(values: Values) -> dict[str, float | np.ndarray]:
    """Coordinates of the mirror image of a body."""
    swap = {"r": "l", "l": "r"}
    negative = ("pelvis_list", "pelvis_rotation", "lumbar_bending", "lumbar_rotation", "pelvis_tz")
    found: dict[str, float | np.ndarray] = {}
    for name, value in values.items():
        stem, _, letter = name.rpartition("_")
        if letter in swap:
            found[f"{stem}_{swap[letter]}"] = value
        else:
            found[name] = -np.asarray(value) if name in negative else value
    return found


def knee_extra(body: Body, flexion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of adduction and internal rotation of a knee that is bent by so many degrees."""
    share = np.sin(np.radians(flexion))
    return -body.knee_abduction * share, body.knee_rotation * share


def turned(sequence: str, *angles_deg: float | np.ndarray) -> np.ndarray:
    """(..., 3, 3) turns by angles (...) about the axes X, Y or Z of `sequence`, each axis turned by those before it."""
    total = np.eye(3)
    for axis, angle in zip(sequence, angles_deg, strict=True):
        total = total @ about_axis(tuple(float(axis == other) for other in "XYZ"), angle)  # type: ignore[arg-type]
    return total


def about_axis(axis: Vector, angle_deg: float | np.ndarray) -> np.ndarray:
    """(..., 3, 3) a turn by an angle (...) about an axis: the formula of Rodrigues."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    angle = np.radians(np.asarray(angle_deg, float))[..., None, None]
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)


def in_camera(xyz: np.ndarray, distance: float = 4.0) -> np.ndarray:
    """Points (..., 3) as a level camera sees them that stands `distance` metres behind the origin and looks along X."""
    return xyz @ WORLD_FROM_CAMERA + np.array([0.0, 0.0, distance])


def points_of(skeleton: Skeleton) -> list[tuple[str, ...]]:
    """Names in `POINTS` whose mean each joint is. Raises ValueError for a joint that the body does not have."""
    found: list[tuple[str, ...]] = []
    for joint in skeleton.joints:
        names = MADE_OF.get(joint, (joint,))
        for name in names:
            if _on_the_right(name) not in POINTS:
                raise ValueError(f"joint '{joint}' of skeleton '{skeleton.name}' is no point of the body")
        found.append(names)
    return found


def carried(body: Body, name: str) -> tuple[str, np.ndarray]:
    """The segment that carries a point of either side, and where in its axes (3,), metres."""
    segment, offset = POINTS[_on_the_right(name)]
    xyz = np.array(offset)
    if segment == "thorax":
        xyz = xyz - body.lumbar
    if segment == "right_foot":
        xyz = turned("YZ", -body.toe_out, -body.toe_down) @ xyz
    if side(name) == "left":
        return segment.replace("right", "left"), _mirror(name) @ xyz
    return segment, xyz


def _on_the_right(name: str) -> str:
    return name.replace("left", "right")


def _mirror(name: str) -> np.ndarray:
    return np.diag([1.0, 1.0, -1.0 if side(name) == "left" else 1.0])
