"""Joint angles by value: a figure whose limbs are turned by known angles about known axes, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pose_biomechanics.angles import (
    ERRORS,
    UNKNOWN_STD,
    AngleOptions,
    AngleSolver,
    PeopleAngleSolver,
    angles_of,
    angles_of_markers,
    euler_angles,
    matrix_of_euler,
)
from pose_biomechanics.isb import ANGLES, NAMES
from pose_core.angles import PELVIS_SEQUENCES, AngleFlag
from pose_core.filtering.joint_errors import DEPTH_SHARE, HANDED_DOWN, JointErrors
from pose_core.geometry.covariance import outer, std_of
from pose_core.markers import WORLD_FROM_CAMERA, MarkerSequence, up_in_camera, world_from_camera
from pose_core.people import JointState, People3D, Person3D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S
from refine_node.params import RefineParams

MISSING, UNOBSERVABLE, LOCKED = AngleFlag.JOINT_MISSING, AngleFlag.UNOBSERVABLE, AngleFlag.NEAR_GIMBAL_LOCK
INDEPENDENT = AngleOptions(errors="independent")
few = settings(max_examples=25, deadline=None)

CENTRE = {
    "Hip": (0.0, 1.0, 0.0),
    "Neck": (0.0, 1.5, 0.0),
    "spine": (0.0, 1.25, 0.0),
    "spine4": (0.0, 1.45, 0.0),
    "Nose": (0.1, 1.7, 0.0),
    "Head": (0.0, 1.85, 0.0),
    "C7_study": (-0.06, 1.53, 0.0),
}
RIGHT = {
    "pelvis": {"RHip": (0.0, 1.0, 0.1), "RHJC_study": (0.0, 1.0, 0.1)},
    "pelvis_skin": {"r.ASIS_study": (0.05, 1.08, 0.12), "r.PSIS_study": (-0.1, 1.08, 0.05)},
    "thorax": {"RShoulder": (0.0, 1.5, 0.2), "r_shoulder_study": (0.0, 1.54, 0.2)},
    "femur": {
        "RKnee": (0.0, 0.55, 0.1),
        "r_knee_study": (0.0, 0.55, 0.15),
        "r_mknee_study": (0.0, 0.55, 0.05),
    },
    "tibia": {
        "RAnkle": (0.0, 0.1, 0.1),
        "r_ankle_study": (0.0, 0.1, 0.14),
        "r_mankle_study": (0.0, 0.1, 0.06),
    },
    "foot": {
        "RHeel": (-0.05, 0.03, 0.1),
        "RIndex": (0.15, 0.03, 0.1),
        "RBigToe": (0.15, 0.03, 0.07),
        "RSmallToe": (0.15, 0.03, 0.13),
        "r_calc_study": (-0.05, 0.03, 0.1),
        "r_toe_study": (0.15, 0.03, 0.1),
        "r_5meta_study": (0.1, 0.03, 0.14),
    },
    "humerus": {
        "RElbow": (0.0, 1.2, 0.2),
        "r_lelbow_study": (0.0, 1.2, 0.24),
        "r_melbow_study": (0.0, 1.2, 0.16),
    },
    # The palms look forward, so that thumb and index are to the right of a right hand.
    "forearm": {
        "RWrist": (0.0, 0.95, 0.2),
        "r_lwrist_study": (0.0, 0.95, 0.23),
        "r_mwrist_study": (0.0, 0.95, 0.17),
        "right_index": (0.0, 0.85, 0.23),
        "right_pinky": (0.0, 0.86, 0.17),
    },
}
"""Metres, X forward, Y up, Z right: a figure that stands upright with its arms down, all of whose angles are 0 by definition."""
# The wrist of the markers' forearm is the ulnar styloid's: put the elbow's middle above it, so that the forearm hangs straight.
for _name in ("r_lwrist_study", "r_mwrist_study"):
    _x, _y, _z = RIGHT["forearm"][_name]
    RIGHT["forearm"][_name] = (_x, _y, _z + 0.03)

LEGS, ARMS = ("femur", "tibia", "foot"), ("humerus", "forearm")


def to_the_left(name: str) -> str:
    if name.startswith("right_"):
        return f"left_{name[6:]}"
    return f"L{name[1:]}"


class Body:
    """Points of a figure by name, which turn in groups."""

    def __init__(self) -> None:
        self.at = {name: np.array(xyz) for name, xyz in CENTRE.items()}
        self.groups: dict[str, list[str]] = {"centre": list(CENTRE)}
        for group, points in RIGHT.items():
            self.groups[f"right_{group}"] = list(points)
            self.groups[f"left_{group}"] = [to_the_left(name) for name in points]
            for name, (x, y, z) in points.items():
                self.at[name] = np.array([x, y, z])
                self.at[to_the_left(name)] = np.array([x, y, -z])

    def turn(self, groups: list[str], pivot: str | tuple, axis: tuple, degrees: float) -> Body:
        """Turn groups of points about an axis through a point, right-handed; returns itself."""
        centre = self.at[pivot].copy() if isinstance(pivot, str) else np.array(pivot)
        R = Rotation.from_rotvec(np.radians(degrees) * np.array(axis) / np.linalg.norm(axis)).as_matrix()
        for group in groups:
            for name in self.groups[group]:
                self.at[name] = centre + R @ (self.at[name] - centre)
        return self

    def everything(self) -> list[str]:
        return list(self.groups)

    def upper(self, spine: bool = True) -> list[str]:
        """What moves with the thorax."""
        parts = [f"{side}_{part}" for side in ("right", "left") for part in ("thorax", *ARMS)]
        self.groups["chest"] = ["Neck", "spine4", "Nose", "Head", "C7_study"]
        return [*parts, "chest"]

    def joints(self, skeleton: str) -> np.ndarray:
        """(J, 3) in the optical frame of a level camera that looks along X."""
        known = {
            "pelvis": "Hip",
            "neck": "Neck",
            "head": "Head",
            "nose": "Nose",
            "spine": "spine",
            "spine4": "spine4",
        }
        xyz = []
        for joint in SKELETONS.get(skeleton).joints:
            side, _, part = joint.partition("_")
            name = known.get(joint, joint)
            if side in ("right", "left") and joint not in self.at:
                name = side[0].upper() + "".join(word.capitalize() for word in part.split("_"))
                name = name.replace("FootIndex", "Index")
            xyz.append(self.at.get(name, self.at["Head"]))
        return np.array(xyz) @ WORLD_FROM_CAMERA + np.array([0.0, 0.0, 3.0])

    def markers(self) -> dict[str, np.ndarray]:
        """By name, all that ISB's frames are made of."""
        return {name: xyz for name, xyz in self.at.items() if name[0] in "LRrC" or name in ("Hip", "Neck")}


def person(xyz: np.ndarray, std: float = 0.01, id: str = "p1") -> Person3D:
    missing = ~np.isfinite(xyz).all(1)
    return Person3D(
        id,
        1.0,
        xyz,
        np.where(missing, np.nan, std),
        np.full(3, 0.05),
        np.where(missing, 0.0, 1.0),
        np.where(missing, JointState.MISSING, JointState.MEASURED).astype(np.uint8),
    )


def sequence(xyz: np.ndarray, skeleton: str, std: float = 0.01) -> PoseSequence:
    frames = len(xyz)
    missing = ~np.isfinite(xyz).all(2)
    return PoseSequence(
        skeleton,
        np.arange(frames) * NS_PER_S // 30,
        xyz,
        np.where(missing, 0.0, 1.0),
        np.where(missing, np.nan, std),
        np.full((frames, 3), 0.05),
        np.where(missing, 0, 1).astype(np.uint8),
        np.where(missing.all(1), np.nan, 1.0),
        frame_id="camera",
        person="p7",
        metadata={"height": 1.8},
    )


def marker_sequence(bodies: list[dict[str, np.ndarray]], std: float = 0.01) -> MarkerSequence:
    names = tuple(bodies[0])
    xyz = np.array([[body[name] for name in names] for body in bodies])
    return MarkerSequence(names, np.arange(len(bodies)) * NS_PER_S // 30, xyz, np.full(xyz.shape[:2], std))


def degrees_of(angle: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, np.degrees(angle).tolist(), strict=True))


def seen(body: Body, skeleton: str = "mediapipe33", **options) -> dict[str, float]:
    """Degrees by name, of one frame."""
    solver = AngleSolver(SKELETONS.get(skeleton), AngleOptions(**options))
    return degrees_of(solver.solve(person(body.joints(skeleton)), 0).angle)


def seen_by_markers(body: Body) -> dict[str, float]:
    return degrees_of(angles_of_markers(marker_sequence([body.markers()])).angle[0])


@dataclass(frozen=True)
class Motion:
    """A turn of part of the figure that changes one angle."""

    groups: Callable[[Body], list[str]]
    pivot: str | tuple[float, float, float]
    axis: tuple[float, float, float]


def _leg(side: str, *parts: str) -> Callable[[Body], list[str]]:
    return lambda body: [f"{side}_{part}" for part in parts]


def motions() -> dict[str, Motion]:
    """The turn that makes each angle of the standing figure positive, by the right-hand rule, and its true axis."""
    forward, up, right = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)

    def turned(axis: tuple[float, float, float], sign: float) -> tuple[float, float, float]:
        return tuple(sign * value for value in axis)  # type: ignore[return-value]

    found = {
        "pelvis_anterior_tilt": Motion(Body.everything, "Hip", turned(right, -1.0)),
        "pelvis_right_drop": Motion(Body.everything, "Hip", forward),
        "pelvis_left_rotation": Motion(Body.everything, "Hip", up),
        "trunk_flexion": Motion(Body.upper, "Hip", turned(right, -1.0)),
        "trunk_right_bending": Motion(Body.upper, "Hip", forward),
        "trunk_left_rotation": Motion(Body.upper, "Hip", up),
    }
    # On the left what turns the right limb about X and Y turns the other way.
    for side, letter, other in (("right", "R", 1.0), ("left", "L", -1.0)):
        ankle = f"{letter}Ankle"
        found |= {
            f"{side}_hip_flexion": Motion(_leg(side, *LEGS), f"{letter}Hip", right),
            f"{side}_hip_abduction": Motion(_leg(side, *LEGS), f"{letter}Hip", turned(forward, -other)),
            f"{side}_hip_internal_rotation": Motion(_leg(side, *LEGS), f"{letter}Hip", turned(up, other)),
            f"{side}_knee_flexion": Motion(_leg(side, "tibia", "foot"), f"{letter}Knee", turned(right, -1.0)),
            f"{side}_knee_abduction": Motion(
                _leg(side, "tibia", "foot"), f"{letter}Knee", turned(forward, -other)
            ),
            f"{side}_knee_internal_rotation": Motion(
                _leg(side, "tibia", "foot"), f"{letter}Knee", turned(up, other)
            ),
            f"{side}_ankle_dorsiflexion": Motion(_leg(side, "foot"), ankle, right),
            f"{side}_ankle_eversion": Motion(_leg(side, "foot"), ankle, turned(forward, -other)),
            f"{side}_ankle_internal_rotation": Motion(_leg(side, "foot"), ankle, turned(up, other)),
            f"{side}_shoulder_flexion": Motion(_leg(side, *ARMS), f"{letter}Shoulder", right),
            f"{side}_shoulder_abduction": Motion(
                _leg(side, *ARMS), f"{letter}Shoulder", turned(forward, -other)
            ),
            f"{side}_shoulder_internal_rotation": Motion(
                _leg(side, *ARMS), f"{letter}Shoulder", turned(up, other)
            ),
            f"{side}_elbow_flexion": Motion(_leg(side, "forearm"), f"{letter}Elbow", right),
            f"{side}_elbow_abduction": Motion(
                _leg(side, "forearm"), f"{letter}Elbow", turned(forward, -other)
            ),
            f"{side}_elbow_pronation": Motion(_leg(side, "forearm"), f"{letter}Elbow", turned(up, other)),
        }
    return found


MOTIONS = motions()


def is_isb_shoulder(name: str) -> bool:
    return name.endswith(("plane_of_elevation", "shoulder_elevation", "axial_rotation"))


# --- signs and zeros ---


def test_the_figure_stands_at_zero():
    found = seen_by_markers(Body())
    np.testing.assert_allclose(list(found.values()), 0.0, atol=1e-9)


@pytest.mark.parametrize("name", MOTIONS)
@pytest.mark.parametrize("amount", [30.0, -12.0])
def test_one_motion_changes_one_angle(name: str, amount: float):
    """With markers, every angle is known. 36 angles; those of ISB's shoulder follow."""
    body, motion = Body(), MOTIONS[name]
    body.turn(motion.groups(body), motion.pivot, motion.axis, amount)
    found = seen_by_markers(body)
    assert found.pop(name) == pytest.approx(amount, abs=1e-9)
    shoulder = name.rpartition("shoulder")[0] + "shoulder"
    others = [v for n, v in found.items() if not (is_isb_shoulder(n) and n.startswith(shoulder))]
    np.testing.assert_allclose(others, 0.0, atol=1e-9)


def test_all_thirty_six_have_a_motion():
    assert {angle.name for angle in ANGLES[:36]} == set(MOTIONS)


@pytest.mark.parametrize(("side", "letter", "other"), [("right", "R", 1.0), ("left", "L", -1.0)])
@pytest.mark.parametrize("joints", [False, True])
def test_isbs_shoulder(side: str, letter: str, other: float, joints: bool):
    """An arm lifted sideways is in the plane 0, forward in 90 with the humerus turned as the forearm then shows."""
    arm, pivot = [f"{side}_{part}" for part in ARMS], f"{letter}Shoulder"

    def of(body: Body) -> list[float]:
        body.turn([f"{side}_forearm"], f"{letter}Elbow", elbow_axis, 50.0)
        found = seen(body) if joints else seen_by_markers(body)
        return [found[f"{side}_shoulder_{n}"] for n in ("plane_of_elevation", "elevation", "axial_rotation")]

    def lifted(axis: tuple[float, float, float]) -> np.ndarray:
        return Rotation.from_rotvec(np.radians(60.0) * np.array(axis)).as_matrix()

    sideways, elbow_axis = (-other, 0.0, 0.0), tuple(lifted((-other, 0.0, 0.0)) @ (0.0, 0.0, 1.0))
    np.testing.assert_allclose(of(Body().turn(arm, pivot, sideways, 60.0)), [0.0, 60.0, 0.0], atol=1e-9)
    # Carried round the body, 40 degrees forward and further in the same height.
    elbow_axis = Rotation.from_rotvec([0.0, np.radians(other * 40.0), 0.0]).apply(elbow_axis)
    body = Body().turn(arm, pivot, sideways, 60.0).turn(arm, pivot, (0.0, other, 0.0), 40.0)
    np.testing.assert_allclose(of(body), [40.0, 60.0, 0.0], atol=1e-9)
    # Turned inwards about its own length.
    body = Body().turn(arm, pivot, sideways, 60.0)
    long = body.at[pivot] - body.at[f"{letter}Elbow"]
    body.turn(arm, pivot, tuple(other * long), 25.0)
    elbow_axis = Rotation.from_rotvec(np.radians(other * 25.0) * long / np.linalg.norm(long)).apply(
        lifted(sideways) @ (0.0, 0.0, 1.0)
    )
    np.testing.assert_allclose(of(body), [0.0, 60.0, 25.0], atol=1e-9)
    elbow_axis = (0.0, 0.0, 1.0)
    body = Body().turn(arm, pivot, (0.0, 0.0, 1.0), 60.0)
    np.testing.assert_allclose(of(body), [90.0, 60.0, -90.0], atol=1e-9)


def bent(body: Body) -> Body:
    """Knees bent by 40 degrees and elbows by 50, so that joints alone tell how limbs are turned."""
    for side, letter in (("right", "R"), ("left", "L")):
        body.turn([f"{side}_tibia", f"{side}_foot"], f"{letter}Knee", (0.0, 0.0, 1.0), -40.0)
        body.turn([f"{side}_forearm"], f"{letter}Elbow", (0.0, 0.0, 1.0), 50.0)
    return body


BENT = {
    f"{side}_{name}": value
    for side in ("right", "left")
    for name, value in {"knee_flexion": 40.0, "elbow_flexion": 50.0}.items()
}
"""What the bent figure's angles are; the rest is 0."""
HINGES = [
    f"{side}_{name}"
    for side in ("right", "left")
    for name in ("knee_abduction", "knee_internal_rotation", "elbow_abduction")
]
ANKLES = [
    f"{side}_ankle_{name}"
    for side in ("right", "left")
    for name in ("dorsiflexion", "eversion", "internal_rotation")
]
PRONATION = ["right_elbow_pronation", "left_elbow_pronation"]
NEVER = {
    "mediapipe33": [*HINGES, "trunk_flexion"],
    "pose2sim22": [*HINGES, *PRONATION, "trunk_flexion"],
    "coco17": [*HINGES, *PRONATION, *ANKLES, "trunk_flexion"],
    "h36m17": [*HINGES, *PRONATION, *ANKLES],
    "mpi_inf28": [*HINGES, *PRONATION, *ANKLES],
}


@pytest.mark.parametrize("skeleton", NEVER)
def test_a_bent_figure_from_joints(skeleton: str):
    solver = AngleSolver(SKELETONS.get(skeleton))
    found = solver.solve(person(bent(Body()).joints(skeleton)), 0)
    for name, angle, flags in zip(NAMES, np.degrees(found.angle), found.flags, strict=True):
        if name in NEVER[skeleton]:
            assert np.isnan(angle), name
            assert flags == UNOBSERVABLE, name
        else:
            assert angle == pytest.approx(BENT.get(name, 0.0), abs=1e-9), name
            assert flags in (0, LOCKED), name


@pytest.mark.parametrize("name", [name for name in MOTIONS if name not in NEVER["mediapipe33"]])
def test_one_motion_changes_one_angle_of_a_bent_figure_from_joints(name: str):
    body, motion = bent(Body()), MOTIONS[name]
    axis: tuple[float, ...] = motion.axis
    # Ankles and hands are turned about axes of the shank and of the forearm, which are turned themselves.
    if "ankle" in name:
        axis = tuple(Rotation.from_euler("z", -40.0, degrees=True).apply(axis))
    if "pronation" in name:
        axis = tuple(Rotation.from_euler("z", 50.0, degrees=True).apply(axis))
    body.turn(motion.groups(body), motion.pivot, axis, 30.0)
    found, expected = seen(body), dict.fromkeys(NAMES, 0.0) | BENT
    expected[name] += 30.0
    shoulder = name.rpartition("shoulder")[0] + "shoulder"
    for other, value in found.items():
        if other not in NEVER["mediapipe33"] and not (is_isb_shoulder(other) and other.startswith(shoulder)):
            assert value == pytest.approx(expected[other], abs=1e-9), other


def test_trunk_lean_looks_like_tilt_where_there_is_no_spine():
    body = bent(Body())
    body.turn(body.upper(), "Hip", (0.0, 0.0, -1.0), 20.0)
    found = seen(body)
    assert np.isnan(found["trunk_flexion"])
    assert found["pelvis_anterior_tilt"] == pytest.approx(20.0, abs=1e-9)
    assert found["right_hip_flexion"] == pytest.approx(20.0, abs=1e-9)
    body = bent(Body())
    body.turn(body.upper(), "spine", (0.0, 0.0, -1.0), 20.0)
    found = seen(body, "h36m17")
    assert found["trunk_flexion"] == pytest.approx(20.0, abs=1e-9)
    assert found["pelvis_anterior_tilt"] == pytest.approx(0.0, abs=1e-9)


def test_t_pose():
    """Arms straight to the sides, palms down as shoulders lifted by 90 degrees leave them: the thumbs point forward."""
    body = Body()
    for side, letter, other in (("right", "R", 1.0), ("left", "L", -1.0)):
        body.turn([f"{side}_{part}" for part in ARMS], f"{letter}Shoulder", (-other, 0.0, 0.0), 90.0)
    markers = angles_of_markers(marker_sequence([body.markers()]))
    found = degrees_of(markers.angle[0])
    for side in ("right", "left"):
        assert found[f"{side}_shoulder_abduction"] == pytest.approx(90.0, abs=1e-6)
        assert found[f"{side}_shoulder_elevation"] == pytest.approx(90.0, abs=1e-9)
        assert found[f"{side}_shoulder_plane_of_elevation"] == pytest.approx(0.0, abs=1e-9)
        flags = dict(zip(NAMES, markers.flags[0], strict=True))
        assert flags[f"{side}_shoulder_flexion"] == LOCKED
        assert flags[f"{side}_shoulder_internal_rotation"] == LOCKED
        assert flags[f"{side}_shoulder_abduction"] == 0
        assert flags[f"{side}_shoulder_plane_of_elevation"] == 0
    joints = seen(body)
    assert joints["right_shoulder_elevation"] == pytest.approx(90.0, abs=1e-9)
    assert np.isnan(joints["right_shoulder_internal_rotation"])


def test_arms_down_is_where_isbs_shoulder_is_singular():
    found = angles_of_markers(marker_sequence([Body().markers()]))
    for name, flags in zip(NAMES, found.flags[0], strict=True):
        assert flags == (LOCKED if name.endswith(("plane_of_elevation", "axial_rotation")) else 0), name
    spread = dict(zip(NAMES, found.std[0], strict=True))
    assert spread["right_shoulder_plane_of_elevation"] == UNKNOWN_STD
    assert spread["right_shoulder_flexion"] < 0.1


# --- the laboratory ---


def test_a_camera_that_looks_down_or_is_rolled_is_levelled():
    pitch, roll = 15.0, 8.0
    down = Rotation.from_euler("z", -pitch, degrees=True) * Rotation.from_euler("x", roll, degrees=True)
    body = bent(Body()).turn(Body().everything(), (0.0, 0.0, 0.0), (0.3, 0.8, -0.2), 25.0)
    level = seen(body)
    # What the tilted camera sees is the level view, turned back.
    xyz = body.joints("mediapipe33") @ WORLD_FROM_CAMERA.T @ down.as_matrix() @ WORLD_FROM_CAMERA
    options = AngleOptions(camera_pitch_deg=pitch, camera_roll_deg=roll)
    found = AngleSolver(SKELETONS.get("mediapipe33"), options).solve(person(xyz), 0)
    np.testing.assert_allclose(np.degrees(found.angle), list(level.values()), atol=1e-9)
    untold = degrees_of(AngleSolver(SKELETONS.get("mediapipe33")).solve(person(xyz), 0).angle)
    assert untold["right_hip_flexion"] == pytest.approx(level["right_hip_flexion"], abs=1e-9)
    assert abs(untold["pelvis_anterior_tilt"] - level["pelvis_anterior_tilt"]) > 5.0


def test_to_a_camera_that_looks_down_who_stands_upright_seems_to_lean():
    """Somebody upright who looks where the camera does seems to lean back by its pitch."""
    xyz = bent(Body()).joints("mediapipe33")
    tilted = Rotation.from_euler("x", 20.0, degrees=True).apply(xyz)
    found = degrees_of(AngleSolver(SKELETONS.get("mediapipe33")).solve(person(tilted), 0).angle)
    assert found["pelvis_anterior_tilt"] == pytest.approx(-20.0, abs=1e-9)
    levelled = AngleSolver(SKELETONS.get("mediapipe33"), AngleOptions(camera_pitch_deg=20.0))
    assert np.degrees(levelled.solve(person(tilted), 0).angle[0]) == pytest.approx(0.0, abs=1e-9)


def test_both_sequences_of_the_pelvis():
    """Tilted, dropped and turned one after the other, in the order that each sequence says."""
    for order in ("ZXY", "YXZ"):
        about = {"Z": -10.0, "X": 20.0, "Y": 30.0}
        R = Rotation.from_euler(order, [about[axis] for axis in order], degrees=True)
        body = bent(Body())
        body.turn(body.everything(), "Hip", tuple(R.as_rotvec()), float(np.degrees(R.magnitude())))
        found = seen(body, pelvis_sequence=order)
        assert [found[name] for name in NAMES[:3]] == pytest.approx([10.0, 20.0, 30.0], abs=1e-9)


@pytest.mark.parametrize(
    ("heading", "zxy", "yxz"),
    [(0.0, (15.0, 0.0), (15.0, 0.0)), (180.0, (-15.0, 0.0), (15.0, 0.0)), (90.0, (0.0, -15.0), (15.0, 0.0))],
)
def test_a_lean_forward_of_who_does_not_look_where_the_camera_does(
    heading: float, zxy: tuple[float, float], yxz: tuple[float, float]
):
    """Tilt and drop of ZXY are about the axes of the laboratory, those of YXZ about the pelvis's own."""
    body = bent(Body()).turn(Body().everything(), "Hip", (0.0, 0.0, -1.0), 15.0)
    body.turn(Body().everything(), "Hip", (0.0, 1.0, 0.0), heading)
    for order, expected in (("ZXY", zxy), ("YXZ", yxz)):
        found = seen(body, pelvis_sequence=order)
        assert (found["pelvis_anterior_tilt"], found["pelvis_right_drop"]) == pytest.approx(
            expected, abs=1e-9
        )


@pytest.mark.parametrize("heading", [0.0, 60.0, 135.0, 179.0, -90.0])
@pytest.mark.parametrize(("lean", "drop"), [(0.0, 0.0), (20.0, 0.0), (20.0, 8.0)])
def test_tilt_and_drop_do_not_depend_on_where_somebody_looks(heading: float, lean: float, drop: float):
    """As by default. Turned by half a turn, they face the camera."""
    body = bent(Body())
    for axis, angle in (((0.0, 0.0, -1.0), lean), ((1.0, 0.0, 0.0), drop), ((0.0, 1.0, 0.0), heading)):
        body.turn(body.everything(), "Hip", axis, angle)
    for found in (seen(body), seen_by_markers(body)):
        assert [found[name] for name in NAMES[:3]] == pytest.approx([lean, drop, heading], abs=1e-9)


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.integers(0, 2**32 - 1))
@few
def test_moving_the_whole_body_changes_the_pelvis_alone(vector: tuple[float, float, float], seed: int):
    random = np.random.default_rng(seed)
    xyz = bent(Body()).joints("mediapipe33")
    xyz += random.normal(0.0, 0.02, xyz.shape)
    moved = Rotation.from_rotvec(vector).apply(xyz) + random.normal(0.0, 1.0, 3)
    solver = AngleSolver(SKELETONS.get("mediapipe33"), INDEPENDENT)
    here, there = (solver.another().solve(person(p), 0) for p in (xyz, moved))
    np.testing.assert_allclose(there.angle[3:], here.angle[3:], atol=1e-7)
    np.testing.assert_allclose(there.std[3:], here.std[3:], atol=1e-7)
    np.testing.assert_array_equal(there.flags[3:], here.flags[3:])


# --- mirror ---


def mirrored_angles(angle: np.ndarray) -> np.ndarray:
    """Angles of the mirror image: left and right change places, what turns the trunk sideways changes its sign."""
    by_name = dict(zip(NAMES, angle, strict=True))
    swap = {"right": "left", "left": "right"}
    found = []
    for name in NAMES:
        side, _, rest = name.partition("_")
        if side in swap:
            found.append(by_name[f"{swap[side]}_{rest}"])
        else:
            found.append(by_name[name] * (1.0 if name in ("pelvis_anterior_tilt", "trunk_flexion") else -1.0))
    return np.array(found)


@given(st.sampled_from(["mediapipe33", "pose2sim22", "h36m17"]), st.integers(0, 2**32 - 1))
@few
def test_left_and_right_are_mirror_images(skeleton: str, seed: int):
    """Over a few frames, so that carried axes and chosen branches are mirrored as well."""
    random = np.random.default_rng(seed)
    known = SKELETONS.get(skeleton)
    frames = bent(Body()).joints(skeleton) + np.cumsum(random.normal(0.0, 0.03, (6, len(known), 3)), 0)
    one, other = AngleSolver(known), AngleSolver(known)
    for t, xyz in enumerate(frames):
        here = one.solve(person(xyz), t)
        there = other.solve(person((xyz * (-1.0, 1.0, 1.0))[known.flip]), t)
        np.testing.assert_allclose(there.angle, mirrored_angles(here.angle), atol=1e-7)
        np.testing.assert_allclose(there.std, np.abs(mirrored_angles(here.std)), atol=1e-7)
        np.testing.assert_array_equal(there.flags, np.abs(mirrored_angles(here.flags.astype(float))))


def test_markers_are_mirror_images_too():
    random = np.random.default_rng(2)
    body = {name: xyz + random.normal(0.0, 0.02, 3) for name, xyz in Body().markers().items()}
    swap = {"R": "L", "L": "R", "r": "L"}

    def other(name: str) -> str:
        if name in ("Hip", "Neck", "C7_study"):
            return name
        changed = swap[name[0]] + name[1:]
        return changed if changed in body else "r" + name[1:]

    image = {other(name): xyz * (1.0, 1.0, -1.0) for name, xyz in body.items()}
    here, there = (angles_of_markers(marker_sequence([b])) for b in (body, image))
    np.testing.assert_allclose(there.angle[0], mirrored_angles(here.angle[0]), atol=1e-9)


# --- continuity ---


def run(bodies: list[Body], skeleton: str = "mediapipe33", **options) -> dict[str, np.ndarray]:
    """Degrees over time, frame by frame."""
    solver = AngleSolver(SKELETONS.get(skeleton), AngleOptions(**options))
    rows = [solver.solve(person(body.joints(skeleton)), t).angle for t, body in enumerate(bodies)]
    return dict(zip(NAMES, np.degrees(rows).T, strict=True))


def test_two_turns_on_the_spot_count_to_720_degrees():
    turns = np.arange(0.0, 721.0, 8.0)
    found = run([bent(Body()).turn(Body().everything(), "Hip", (0.0, 1.0, 0.0), a) for a in turns])
    np.testing.assert_allclose(found["pelvis_left_rotation"], turns, atol=1e-6)
    np.testing.assert_allclose(found["right_hip_flexion"], 0.0, atol=1e-6)


def arm(axis: tuple[float, float, float], degrees: float) -> Body:
    body = bent(Body())
    return body.turn(["right_humerus", "right_forearm"], "RShoulder", axis, degrees)


def test_an_arm_lifted_sideways_passes_the_singularity_of_its_sequence():
    lift = np.arange(0.0, 171.0, 2.5)
    found = run([arm((-1.0, 0.0, 0.0), a) for a in lift])
    np.testing.assert_allclose(found["right_shoulder_abduction"], lift, atol=1e-5)
    np.testing.assert_allclose(found["right_shoulder_flexion"], 0.0, atol=1e-5)
    np.testing.assert_allclose(found["right_shoulder_elevation"], lift, atol=1e-5)


def test_an_arm_that_swings_through_the_singularity_of_isbs_sequence_does_not_jump():
    swing = 25.0 * np.cos(np.linspace(0.0, 4.0 * np.pi, 81))
    found = run([arm((0.0, 0.0, 1.0), a) for a in swing])
    np.testing.assert_allclose(found["right_shoulder_elevation"], swing, atol=1e-5)
    np.testing.assert_allclose(found["right_shoulder_plane_of_elevation"], 90.0, atol=1e-5)
    np.testing.assert_allclose(found["right_shoulder_axial_rotation"], -90.0, atol=1e-5)


def test_an_arm_that_is_lifted_behind_gets_a_positive_elevation_again():
    """Elevation below 0 is a help in passing by; ISB counts it from 0 to 180."""
    found = run([arm((0.0, 0.0, 1.0), a) for a in np.arange(20.0, -51.0, -2.5)])
    elevation = found["right_shoulder_elevation"]
    assert elevation[0] == pytest.approx(20.0)
    assert elevation.min() == pytest.approx(-30.0)
    assert elevation[-1] == pytest.approx(50.0)
    assert found["right_shoulder_plane_of_elevation"][-1] == pytest.approx(-90.0)


def test_an_arm_that_circles_comes_back_to_where_it_was():
    found = run([arm((0.0, 0.0, 1.0), a) for a in np.arange(0.0, 721.0, 8.0)])
    for name in ("flexion", "abduction", "internal_rotation"):
        assert found[f"right_shoulder_{name}"][-1] == pytest.approx(0.0, abs=1e-6)
        assert np.abs(found[f"right_shoulder_{name}"]).max() <= 270.0


def up_sideways_and_down_in_front(step: float) -> list[Body]:
    """An arm that moves by `step` degrees from image to image; in the end the humerus is turned by half a turn."""
    down = np.arange(step, 181.0, step)
    overhead = [arm((-1.0, 0.0, 0.0), 180.0) for _ in down]
    turned = ["right_humerus", "right_forearm"]
    return [
        *(arm((-1.0, 0.0, 0.0), a) for a in np.arange(0.0, 181.0, step)),
        *(
            body.turn(turned, "RShoulder", (0.0, 0.0, -1.0), a)
            for body, a in zip(overhead, down, strict=True)
        ),
    ]


def test_an_arm_up_sideways_and_down_in_front_is_not_left_in_the_other_solution():
    found = run(up_sideways_and_down_in_front(5.0))
    last = [found[f"right_shoulder_{name}"][-1] for name in ("flexion", "abduction", "internal_rotation")]
    assert sum(abs(value) for value in last) == pytest.approx(180.0, abs=1e-5)


def test_where_the_other_solution_is_taken_up_angles_are_flagged():
    """As above, in steps of 15 degrees, which pass the singularities' surroundings at once."""
    path = up_sideways_and_down_in_front(15.0)
    solver = AngleSolver(SKELETONS.get("mediapipe33"))
    solved = [solver.solve(person(body.joints("mediapipe33")), t) for t, body in enumerate(path)]
    row = NAMES.index("right_shoulder_flexion")
    flexion = np.degrees([one.angle[row] for one in solved])
    jumped = np.flatnonzero(np.abs(np.diff(flexion)) > 90.0) + 1
    assert len(jumped) > 0
    assert all(solved[t].flags[row] & LOCKED for t in jumped)
    assert solved[0].flags[row] == 0, "there is nothing that the first frame could differ from"


def test_noise_of_a_hand_does_not_turn_an_elbow_over():
    """What an index finger is off must not be explained by an elbow that is bent the other way."""
    random = np.random.default_rng(9)
    skeleton = SKELETONS.get("mediapipe33")
    solver = AngleSolver(skeleton)
    body = bent(Body()).turn(
        ["right_forearm"],
        "RElbow",
        tuple(Rotation.from_euler("z", 50.0, degrees=True).apply([0.0, 1.0, 0.0])),
        150.0,
    )
    for t in range(100):
        xyz = body.joints("mediapipe33") + random.normal(0.0, 0.03, (33, 3)) * (np.arange(33) > 16)[:, None]
        found = degrees_of(solver.solve(person(xyz), t).angle)
        assert found["right_elbow_flexion"] == pytest.approx(50.0, abs=1e-9)


def test_a_person_who_was_lost_starts_anew():
    turned = bent(Body()).turn(Body().everything(), "Hip", (0.0, 1.0, 0.0), 170.0)
    further = bent(Body()).turn(Body().everything(), "Hip", (0.0, 1.0, 0.0), 200.0)
    solver = AngleSolver(SKELETONS.get("mediapipe33"))
    row = NAMES.index("pelvis_left_rotation")

    def rotation(body: Body, stamp: int) -> float:
        return float(np.degrees(solver.solve(person(body.joints("mediapipe33")), stamp).angle[row]))

    assert rotation(turned, 10) == pytest.approx(170.0)
    assert rotation(further, 20) == pytest.approx(200.0)
    nobody = person(np.full((33, 3), np.nan))
    assert (solver.solve(nobody, 30).flags & MISSING).any()
    assert rotation(further, 40) == pytest.approx(-160.0)
    assert rotation(turned, 50) == pytest.approx(-190.0)
    assert rotation(turned, 45) == pytest.approx(170.0)
    assert rotation(further, 60) == pytest.approx(200.0)
    solver.reset()
    assert rotation(further, 70) == pytest.approx(-160.0)


@given(
    st.sampled_from(["ZXY", "YXZ", "XYZ", "ZYX", "XZY", "YZX", "YXY", "ZXZ", "XYX", "YZY"]),
    st.tuples(*[st.floats(-np.pi, np.pi)] * 3),
)
@settings(max_examples=50, deadline=None)
def test_both_solutions_are_the_same_rotation(order: str, angles: tuple[float, float, float]):
    turn = matrix_of_euler(np.array(angles), order)
    np.testing.assert_allclose(turn, Rotation.from_euler(order, angles).as_matrix(), atol=1e-12)
    both = euler_angles(turn, order)
    for solution in both:
        np.testing.assert_allclose(matrix_of_euler(solution, order), turn, atol=1e-5)
    middle = np.sin(both[0][1]) if order[0] == order[2] else np.cos(both[0][1])
    if abs(middle) < 1e-5:
        return
    apart = np.remainder(both[1] - both[0] * (1.0, -1.0, 1.0) + np.pi, 2.0 * np.pi) - np.pi
    np.testing.assert_allclose(
        np.abs(apart), [np.pi, 0.0 if order[0] == order[2] else np.pi, np.pi], atol=1e-9
    )


@pytest.mark.parametrize(
    ("order", "middle"), [("ZXY", 90.0), ("ZXY", -90.0), ("YXZ", 90.0), ("YXY", 0.0), ("YXY", 180.0)]
)
def test_at_a_singularity_the_sum_goes_to_the_third_angle(order: str, middle: float):
    turn = Rotation.from_euler(order, [30.0, middle, 25.0], degrees=True).as_matrix()
    found = euler_angles(turn, order)[0]
    assert found[0] == 0.0
    np.testing.assert_allclose(matrix_of_euler(found, order), turn, atol=1e-6)


def test_a_sequence_must_be_one():
    for order in ("ZZX", "XY", "ABC", "XYYX"):
        with pytest.raises(ValueError, match="a sequence is three axes"):
            euler_angles(np.eye(3), order)


# --- what is not known ---


def test_a_straight_knee_does_not_tell_how_the_thigh_is_turned():
    body = Body().turn(["right_tibia", "right_foot"], "RKnee", (0.0, 0.0, 1.0), -19.0)
    body.turn(["left_tibia", "left_foot"], "LKnee", (0.0, 0.0, 1.0), -21.0)
    found = AngleSolver(SKELETONS.get("mediapipe33")).solve(person(body.joints("mediapipe33")), 0)
    flags, angle = dict(zip(NAMES, found.flags, strict=True)), degrees_of(found.angle)
    assert flags["right_hip_internal_rotation"] == flags["right_ankle_internal_rotation"] == UNOBSERVABLE
    assert flags["left_hip_internal_rotation"] == flags["left_ankle_internal_rotation"] == 0
    assert np.isnan(angle["right_hip_internal_rotation"])
    assert angle["right_knee_flexion"] == pytest.approx(19.0, abs=1e-9)
    assert angle["right_ankle_dorsiflexion"] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_array_equal(np.isnan(found.std), np.isnan(found.angle))
    for name in ("shoulder_internal_rotation", "shoulder_axial_rotation", "elbow_pronation"):
        assert flags[f"right_{name}"] == UNOBSERVABLE
    other = AngleSolver(SKELETONS.get("mediapipe33"), AngleOptions(straight_deg=10.0))
    assert (
        other.solve(person(body.joints("mediapipe33")), 0).flags[NAMES.index("right_hip_internal_rotation")]
        == 0
    )


def test_a_knee_stretched_too_far_bends_below_zero():
    body = Body().turn(["right_tibia", "right_foot"], "RKnee", (0.0, 0.0, 1.0), 8.0)
    assert seen(body)["right_knee_flexion"] == pytest.approx(-8.0, abs=1e-9)
    body = Body().turn(["right_tibia", "right_foot"], "RKnee", (0.0, 0.0, 1.0), 35.0)
    found = seen(body)
    assert found["right_knee_flexion"] == pytest.approx(-35.0, abs=1e-9)
    assert found["right_hip_internal_rotation"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("joint", "lost"),
    [
        ("right_wrist", {"right_elbow": "all", "right_shoulder": ("internal_rotation", "axial_rotation")}),
        ("right_ankle", {"right_knee": "all", "right_ankle": "all", "right_hip": ("internal_rotation",)}),
        ("left_heel", {"left_ankle": "all"}),
        ("right_index", {"right_elbow": ("pronation",)}),
        ("nose", {}),
    ],
)
def test_a_missing_joint_takes_with_it_what_needs_it(joint: str, lost: dict):
    skeleton = SKELETONS.get("mediapipe33")
    xyz = bent(Body()).joints("mediapipe33")
    whole = AngleSolver(skeleton).solve(person(xyz), 0)
    xyz[skeleton.index(joint)] = np.nan
    found = AngleSolver(skeleton).solve(person(xyz), 0)
    for row, angle in enumerate(ANGLES):
        of_group = lost.get(angle.group, ())
        if whole.flags[row] & UNOBSERVABLE:
            assert found.flags[row] == UNOBSERVABLE
        elif of_group == "all" or angle.name.endswith(of_group or ("nothing",)):
            assert found.flags[row] == MISSING, angle.name
            assert np.isnan(found.angle[row])
            assert np.isnan(found.std[row])
        else:
            assert found.flags[row] == whole.flags[row], angle.name
            assert found.angle[row] == pytest.approx(whole.angle[row], abs=1e-12), angle.name


@pytest.mark.parametrize(
    "joints", [("right_knee", "right_ankle"), ("right_shoulder", "right_elbow", "right_wrist")]
)
def test_a_limb_that_is_not_there_is_missing_and_not_undetermined(joints: tuple[str, ...]):
    skeleton = SKELETONS.get("mediapipe33")
    xyz = bent(Body()).joints("mediapipe33")
    whole = AngleSolver(skeleton).solve(person(xyz), 0)
    xyz[skeleton.indices(*joints)] = np.nan
    found = AngleSolver(skeleton).solve(person(xyz), 0)
    hinge = "right_knee_flexion" if "right_knee" in joints else "right_elbow_flexion"
    assert found.flags[NAMES.index(hinge)] == MISSING
    np.testing.assert_array_equal(found.flags & UNOBSERVABLE, whole.flags & UNOBSERVABLE)


def test_legs_without_a_trunk_still_have_knees():
    skeleton = SKELETONS.get("mediapipe33")
    xyz = bent(Body()).joints("mediapipe33")
    xyz[skeleton.indices("left_shoulder", "right_shoulder")] = np.nan
    found = degrees_of(AngleSolver(skeleton).solve(person(xyz), 0).angle)
    assert found["right_knee_flexion"] == pytest.approx(40.0, abs=1e-9)
    assert np.isnan(found["pelvis_anterior_tilt"])
    assert np.isnan(found["right_hip_flexion"])
    # A straight knee is seen in the axes of the pelvis, which is not known.
    xyz = Body().joints("mediapipe33")
    xyz[skeleton.indices("left_shoulder", "right_shoulder")] = np.nan
    found = AngleSolver(skeleton).solve(person(xyz), 0)
    assert found.flags[NAMES.index("right_knee_flexion")] == MISSING


@given(st.integers(0, 2**32 - 1), st.sampled_from(["mediapipe33", "mpi_inf28", "hand21"]))
@few
def test_what_is_nan_is_flagged_and_nothing_else(seed: int, skeleton: str):
    """Whatever joints are missing, in one place or far off."""
    random = np.random.default_rng(seed)
    known = SKELETONS.get(skeleton)
    solver = AngleSolver(known)
    for stamp in range(4):
        xyz = random.normal(0.0, 10.0 ** random.uniform(-3.0, 3.0), (len(known), 3))
        xyz[random.random(len(known)) < 0.1] = np.nan
        xyz[random.random(len(known)) < 0.1] = 0.0
        found = solver.solve(person(xyz), stamp)
        unknown = (found.flags & (MISSING | UNOBSERVABLE)) > 0
        np.testing.assert_array_equal(np.isnan(found.angle), unknown)
        np.testing.assert_array_equal(np.isnan(found.std), unknown)
        assert (found.std[~unknown] >= 0.0).all()
        assert (found.std[~unknown] <= UNKNOWN_STD).all()


def test_an_angle_that_could_be_any_is_not_given():
    """A wrist that may be anywhere takes the angles with it that need it, and no others."""
    skeleton = SKELETONS.get("mediapipe33")
    one = person(bent(Body()).joints("mediapipe33"))
    std = one.std.copy()
    std[skeleton.index("right_wrist")] = 5.0
    sure, unsure = (AngleSolver(skeleton).solve(replace(one, std=each), 0) for each in (one.std, std))
    assert sure.flags[NAMES.index("right_elbow_flexion")] == 0
    assert unsure.flags[NAMES.index("right_elbow_flexion")] == UNOBSERVABLE
    assert np.isnan(unsure.angle[NAMES.index("right_elbow_flexion")])
    assert np.isnan(unsure.std[NAMES.index("right_elbow_flexion")])
    others = [i for i, name in enumerate(NAMES) if not name.startswith(("right_elbow", "right_shoulder"))]
    np.testing.assert_array_equal(unsure.angle[others], sure.angle[others])
    np.testing.assert_array_equal(unsure.flags[others], sure.flags[others])


def test_joints_in_one_place_have_no_angle():
    found = AngleSolver(SKELETONS.get("mediapipe33")).solve(person(np.ones((33, 3))), 0)
    assert (found.flags == UNOBSERVABLE).all()


def test_an_unknown_deviation_is_passed_on_to_the_angles_that_depend_on_it():
    skeleton = SKELETONS.get("mediapipe33")
    someone = person(bent(Body()).joints("mediapipe33"))
    std = someone.std.copy()
    std[skeleton.index("right_wrist")] = np.nan
    found = AngleSolver(skeleton).solve(replace(someone, std=std), 0)
    spread = dict(zip(NAMES, found.std, strict=True))
    assert np.isnan(spread["right_elbow_flexion"])
    assert np.isnan(spread["right_shoulder_internal_rotation"])
    assert spread["right_shoulder_flexion"] > 0.0
    assert np.isfinite(found.angle[NAMES.index("right_elbow_flexion")])


# --- standard deviations ---


def test_the_deviation_of_a_hinge_by_hand():
    """Only the ankle errs, by s along each axis: across the shank of length L that turns the knee by s / L."""
    skeleton = SKELETONS.get("mediapipe33")
    someone = person(bent(Body()).joints("mediapipe33"))
    std = np.zeros(33)
    std[skeleton.index("right_ankle")] = 0.009
    found = AngleSolver(skeleton, INDEPENDENT).solve(replace(someone, std=std), 0)
    spread = dict(zip(NAMES, found.std, strict=True))
    assert spread["right_knee_flexion"] == pytest.approx(0.009 / 0.45, rel=1e-9)
    # Sideways it turns the plane of the leg, seen from the thigh, by s / (L sin 40).
    assert spread["right_hip_internal_rotation"] == pytest.approx(
        0.009 / (0.45 * np.sin(np.radians(40.0))), rel=1e-9
    )
    assert spread["right_hip_flexion"] == spread["left_knee_flexion"] == 0.0


def test_shoulders_that_go_together_tilt_the_trunk_by_hand():
    """Seen from the front, both shoulders err by s, of which d lies along the view and r goes together: the middle between them
    errs there by s sqrt(3 d (1 + r^2) / 2), and the trunk of length L tilts by that over L."""
    skeleton = SKELETONS.get("mediapipe33")
    body = Body()
    someone = person(body.joints("mediapipe33"))
    std = np.zeros(33)
    std[skeleton.indices("left_shoulder", "right_shoulder")] = 0.02
    spread = {
        errors: AngleSolver(skeleton, AngleOptions(errors=errors)).solve(replace(someone, std=std), 0).std[0]
        for errors in ("lifted", "independent")
    }
    nodes = skeleton.with_virtual(someone.xyz)
    trunk = np.linalg.norm(nodes[skeleton.index("neck")] - nodes[skeleton.index("pelvis")])
    assert spread["independent"] == pytest.approx(0.02 / np.sqrt(2.0) / trunk, rel=1e-9)
    together = np.sqrt(3.0 * DEPTH_SHARE * (1.0 + HANDED_DOWN["shoulder"] ** 2) / 2.0)
    assert spread["lifted"] == pytest.approx(0.02 * together / trunk, rel=1e-9)


def test_a_covariance_says_which_way_a_joint_errs_by_hand():
    """Only the ankle errs, by 9 mm along one axis: along the shank that turns nothing; across it, in the plane of the leg, the
    knee by 9 mm / 0.45 m."""
    skeleton = SKELETONS.get("mediapipe33")
    someone = person(bent(Body()).joints("mediapipe33"))
    ankle, knee, hip = (skeleton.index(f"right_{joint}") for joint in ("ankle", "knee", "hip"))
    shank = someone.xyz[ankle] - someone.xyz[knee]
    shank /= np.linalg.norm(shank)
    thigh = someone.xyz[knee] - someone.xyz[hip]
    forward = thigh - (thigh @ shank) * shank
    forward /= np.linalg.norm(forward)
    for way, expected in ((shank, 0.0), (forward, 0.009 / 0.45)):
        covariance = np.zeros((33, 6))
        covariance[ankle] = 0.009**2 * outer(way)
        unsure = replace(someone, std=std_of(covariance), covariance=covariance)
        found = AngleSolver(skeleton, INDEPENDENT).solve(unsure, 0)
        spread = dict(zip(NAMES, found.std, strict=True))
        assert spread["right_knee_flexion"] == pytest.approx(expected, abs=1e-9)
        assert spread["left_knee_flexion"] == 0.0


def test_a_covariance_that_is_as_supposed_changes_nothing():
    """Lifted joints are supposed to err along z by DEPTH_SHARE; told so, angles are as unsure as without."""
    recording = noisy_recording()
    across = 1.5 * (1.0 - DEPTH_SHARE)
    shape = np.array([across, 0.0, 0.0, across, 0.0, 3.0 * DEPTH_SHARE])
    told = replace(recording, covariance=np.square(recording.std)[..., None] * shape)
    plain, with_shape = angles_of(recording), angles_of(told)
    np.testing.assert_allclose(with_shape.std, plain.std, rtol=1e-6)
    np.testing.assert_array_equal(with_shape.angle, plain.angle)


@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        *((kind, errors) for kind in ("mediapipe33", "pose2sim22", "h36m17") for errors in ERRORS),
        ("markers", "independent"),
    ],
)
def test_deviations_are_those_of_repeated_measurements(kind: str, errors: str):
    """A figure in the middle of a motion, measured 3000 times; a spread from so many errs by 1.3 percent."""
    random = np.random.default_rng(5)
    body = bent(Body())
    for name in (
        "right_hip_flexion",
        "left_shoulder_abduction",
        "right_shoulder_flexion",
        "trunk_left_rotation",
    ):
        body.turn(MOTIONS[name].groups(body), MOTIONS[name].pivot, MOTIONS[name].axis, 35.0)
    body.turn(["left_femur", "left_tibia", "left_foot"], "LHip", (0.2, 0.5, 1.0), -20.0)
    std, count = 0.0005, 3000
    if kind == "markers":
        names = list(body.markers())
        clean = np.array([body.at[name] for name in names])
        noisy = clean + random.normal(0.0, std, (count, *clean.shape))
        found = angles_of_markers(
            MarkerSequence(tuple(names), np.arange(count), noisy, np.full(noisy.shape[:2], std))
        )
    else:
        clean = body.joints(kind)
        together = JointErrors.lifted(SKELETONS.get(kind))
        drawn = random.normal(0.0, std, (count, together.mixing.shape[1], 3))
        lifted = together.axes * np.einsum("jk,nkc->njc", together.mixing, drawn)
        noise = lifted if errors == "lifted" else random.normal(0.0, std, (count, *clean.shape))
        found = angles_of(sequence(clean + noise, kind, std), AngleOptions(errors=errors))
    known = np.isfinite(found.angle).all(0)
    assert known.sum() >= 25
    measured, told = found.angle[:, known].std(0), np.median(found.std[:, known], 0)
    np.testing.assert_allclose(told / measured, 1.0, atol=0.06)


# --- recordings, people, options ---


def noisy_recording(skeleton: str = "mediapipe33", frames: int = 40) -> PoseSequence:
    random = np.random.default_rng(3)
    xyz = np.stack([arm((-1.0, 0.0, 0.0), 5.0 * t).joints(skeleton) for t in range(frames)])
    xyz += random.normal(0.0, 0.01, xyz.shape)
    xyz[7, 16] = np.nan
    xyz[20:23] = np.nan
    return sequence(xyz, skeleton)


def test_a_recording_has_the_angles_of_its_frames():
    recording = noisy_recording(frames=300)
    at_once = angles_of(recording)
    solver = AngleSolver(SKELETONS.get("mediapipe33"))
    for t, stamp in enumerate(recording.stamps):
        one = replace(person(recording.xyz[t]), std=recording.std[t])
        found = solver.solve(one, int(stamp))
        np.testing.assert_allclose(found.angle, at_once.angle[t], atol=1e-9)
        np.testing.assert_allclose(found.std, at_once.std[t], atol=1e-9)
        np.testing.assert_array_equal(found.flags, at_once.flags[t])
    assert at_once.person == "p7"
    assert at_once.metadata == {"height": 1.8}
    np.testing.assert_array_equal(at_once.stamps, recording.stamps)


def test_singular_frames_of_a_recording_keep_what_was_before():
    """An arm that comes down exactly to where ISB's sequence has no plane, and stays there."""
    bodies = [arm((0.0, 0.0, 1.0), a) for a in (40.0, 20.0, 0.0, 0.0)]
    at_once = angles_of(sequence(np.stack([body.joints("mediapipe33") for body in bodies]), "mediapipe33"))
    for name, expected in (("plane_of_elevation", 90.0), ("axial_rotation", -90.0)):
        found = np.degrees(at_once.of(f"right_shoulder_{name}"))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(run(bodies)[f"right_shoulder_{name}"], found, atol=1e-9)


def test_the_same_recording_gives_the_same_angles_to_the_bit():
    one, other = (angles_of(noisy_recording()) for _ in range(2))
    assert one.angle.tobytes() == other.angle.tobytes()
    assert one.std.tobytes() == other.std.tobytes()


def test_recordings_of_nothing():
    nothing = angles_of_markers(MarkerSequence((), np.arange(2), np.zeros((2, 0, 3)), np.zeros((2, 0))))
    assert (nothing.flags == UNOBSERVABLE).all()
    empty = angles_of(sequence(np.zeros((0, 33, 3)), "mediapipe33"))
    assert empty.angle.shape == (0, 42)
    nobody = angles_of(sequence(np.full((3, 33, 3), np.nan), "mediapipe33"))
    assert np.isnan(nobody.angle).all()
    assert (nobody.flags > 0).all()
    flat = sequence(np.zeros((2, 17, 3)), "coco17")
    flat = replace(flat, xyz=flat.xyz[..., :2], root_std=flat.root_std[:, :2])
    with pytest.raises(ValueError, match="angles need positions in metres"):
        angles_of(flat)


def test_markers_that_are_only_joints_are_taken_as_such():
    body = bent(Body())
    names = [
        name for name in body.markers() if "study" not in name and "_" not in name and "Index" not in name
    ]
    found = degrees_of(angles_of_markers(marker_sequence([{n: body.at[n] for n in names}])).angle[0])
    joints = seen(body, "pose2sim22")
    np.testing.assert_allclose(list(found.values()), list(joints.values()), atol=1e-9)


def test_people_have_angles_of_their_own():
    xyz = bent(Body()).joints("mediapipe33")
    turned = bent(Body()).turn(Body().everything(), "Hip", (0.0, 1.0, 0.0), 170.0).joints("mediapipe33")
    further = bent(Body()).turn(Body().everything(), "Hip", (0.0, 1.0, 0.0), 190.0).joints("mediapipe33")
    solver = PeopleAngleSolver(RefineParams())
    row = NAMES.index("pelvis_left_rotation")

    def rotations(stamp: int, frame_id: str = "camera", **people: np.ndarray) -> dict[str, float]:
        everybody = tuple(person(joints, id=id) for id, joints in people.items())
        found = solver.process(People3D(stamp, frame_id, "mediapipe33", everybody))
        assert found.names == NAMES
        assert (found.stamp, found.frame_id) == (stamp, frame_id)
        return {one.id: round(float(np.degrees(one.angle[row])), 6) for one in found.people}

    assert rotations(1, p1=xyz, p2=turned) == {"p1": 0.0, "p2": 170.0}
    assert rotations(2, p2=further, p1=xyz) == {"p2": 190.0, "p1": 0.0}
    assert rotations(3, p1=xyz) == {"p1": 0.0}
    assert rotations(4, p2=further) == {"p2": -170.0}
    assert rotations(5, p2=turned) == {"p2": -190.0}
    assert rotations(6, "other", p2=turned) == {"p2": 170.0}
    assert rotations(7, "other", p2=further) == {"p2": 190.0}
    solver.reset("p1")
    assert rotations(8, "other", p2=further) == {"p2": 190.0}
    solver.retune(RefineParams(gate=3.0))
    assert rotations(9, "other", p2=further) == {"p2": 190.0}
    solver.reset("p2")
    assert rotations(10, "other", p2=further) == {"p2": -170.0}
    assert rotations(11, "other") == {}


def test_what_a_message_says_of_up_counts_for_the_pelvis_while_it_says_it():
    """Upright before a camera that looks down by 20 degrees, which the parameters do not know."""
    looks_down = np.linalg.inv(world_from_camera(20.0, -4.0)) @ WORLD_FROM_CAMERA
    tilted = person(bent(Body()).joints("mediapipe33") @ looks_down.T)
    solver = PeopleAngleSolver(RefineParams(camera_pitch_deg=3.0))

    def pelvis(stamp: int, up: np.ndarray | None) -> list[float]:
        found = solver.process(People3D(stamp, "camera", "mediapipe33", (tilted,), up=up)).people[0]
        return np.degrees(found.angle[:3]).tolist()

    told = up_in_camera(20.0, -4.0)
    assert pelvis(1, told) == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    untold = pelvis(2, None)
    assert untold[0] == pytest.approx(-17.0, abs=0.5)
    assert pelvis(3, told) == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    # As by parameters.
    solver.retune(RefineParams(camera_pitch_deg=20.0, camera_roll_deg=-4.0))
    assert pelvis(4, None) == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("sequence", PELVIS_SEQUENCES)
def test_angles_say_in_which_sequence_the_pelvis_was_taken_apart(sequence: str):
    options = AngleOptions(pelvis_sequence=sequence)
    joints = bent(Body()).joints("mediapipe33")
    everybody = People3D(1, "camera", "mediapipe33", (person(joints),))
    solver = PeopleAngleSolver(RefineParams(pelvis_sequence=sequence))
    assert solver.process(everybody).pelvis_sequence == sequence
    assert solver.process(People3D(2, "camera", "mediapipe33")).pelvis_sequence == sequence
    assert angles_of(PoseSequence.from_people([everybody], "p1"), options).pelvis_sequence == sequence
    assert angles_of_markers(marker_sequence([bent(Body()).at]), options).pelvis_sequence == sequence
    (other,) = {*PELVIS_SEQUENCES} - {sequence}
    solver.retune(RefineParams(pelvis_sequence=other))
    assert solver.process(replace(everybody, stamp=3)).pelvis_sequence == other


def test_parameters_of_the_stage_are_the_options():
    params = RefineParams(
        pelvis_sequence="YXZ", camera_pitch_deg=12.0, camera_roll_deg=-3.0, straight_deg=25.0
    )
    assert AngleOptions.of(params) == AngleOptions("YXZ", 12.0, -3.0, 25.0)
    assert AngleOptions.of(RefineParams()) == AngleOptions()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"pelvis_sequence": "XYZ"}, "pelvis_sequence must be ZXY or YXZ, got 'XYZ'"),
        ({"camera_pitch_deg": 200.0}, "camera_pitch_deg must be from -180 to 180, got 200.0"),
        ({"camera_roll_deg": float("nan")}, "camera_roll_deg must be from -180 to 180, got nan"),
        ({"straight_deg": 90.0}, "straight_deg must be at least 0 and less than 90, got 90.0"),
        ({"lock_deg": -1.0}, "lock_deg must be at least 0 and less than 90, got -1.0"),
    ],
)
def test_options_that_mean_nothing(option: dict, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        AngleOptions(**option)
