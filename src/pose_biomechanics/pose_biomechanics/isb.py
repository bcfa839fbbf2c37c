"""The joint angles: names, groups, signs, and the coordinates that OpenSim knows them by. Each fact stands here once.

Segment frames are X forward, Y up, Z right; the left side is mirrored (z to -z) first, so that one sign holds for
both. A positive turn about Z lifts what is in front, about X lowers the right, about Y turns to the left.
`docs/angles.md` explains each angle.

G. Wu et al., "ISB recommendation on definitions of joint coordinate system", part I (J. Biomech. 35, 2002: ankle,
hip, spine) and II (J. Biomech. 38, 2005: shoulder, elbow); E. S. Grood and W. J. Suntay, J. Biomech. Eng. 105, 1983
(knee). Unlike theirs, abduction and knee flexion are positive: an angle's sign is what its name says.
"""

from __future__ import annotations

from dataclasses import dataclass

from pose_core.skeleton import SIDES

DOFS = ("flex", "abd", "rot")
"""Of every group: the turns about Z, X' and Y'', as columns of files call them."""
ISB_SHOULDER_DOFS = ("plane", "elev", "axial")
"""Of the shoulders in addition: the turns about Y, X' and Y''."""


@dataclass(frozen=True)
class Angle:
    """One angle: `sign` times a turn about an axis of its sequence."""

    name: str
    """In messages; positive is what the name says."""
    group: str
    dof: str
    sign: float
    """1 where the angle is positive for a right-handed turn of the (mirrored) distal segment, -1 where it is negative."""
    opensim: tuple[str, float] | None = None
    """Coordinate of the Rajagopal 2016 model, and what to multiply this angle by to get its sign; None: it has none."""

    @property
    def column(self) -> str:
        """Its name in files, in degrees."""
        return f"{self.group}_{self.dof}_deg"


Turn = tuple[str, float, str, float]
"""What an angle is called, its sign, OpenSim's coordinate or nothing, and the factor to OpenSim's sign."""

OPENSIM_PELVIS_SEQUENCE = "ZXY"
"""The order of OpenSim's three turns of the pelvis. Only of angles in this sequence they differ by no more than a sign."""
_PELVIS: tuple[Turn, ...] = (
    ("anterior_tilt", -1.0, "pelvis_tilt", -1.0),
    ("right_drop", 1.0, "pelvis_list", 1.0),
    ("left_rotation", 1.0, "pelvis_rotation", 1.0),
)
_TRUNK: tuple[Turn, ...] = (
    ("flexion", -1.0, "lumbar_extension", -1.0),
    ("right_bending", 1.0, "lumbar_bending", 1.0),
    ("left_rotation", 1.0, "lumbar_rotation", 1.0),
)
_LIMBS: dict[str, tuple[Turn, ...]] = {
    "hip": (
        ("flexion", 1.0, "hip_flexion", 1.0),
        ("abduction", -1.0, "hip_adduction", -1.0),
        ("internal_rotation", 1.0, "hip_rotation", 1.0),
    ),
    "knee": (
        ("flexion", -1.0, "knee_angle", 1.0),
        ("abduction", -1.0, "", 0.0),
        ("internal_rotation", 1.0, "", 0.0),
    ),
    "ankle": (
        ("dorsiflexion", 1.0, "ankle_angle", 1.0),
        ("eversion", -1.0, "subtalar_angle", -1.0),
        ("internal_rotation", 1.0, "", 0.0),
    ),
    "shoulder": (
        ("flexion", 1.0, "arm_flex", 1.0),
        ("abduction", -1.0, "arm_add", -1.0),
        ("internal_rotation", 1.0, "arm_rot", 1.0),
    ),
    "elbow": (
        ("flexion", 1.0, "elbow_flex", 1.0),
        ("abduction", -1.0, "", 0.0),
        ("pronation", 1.0, "pro_sup", 1.0),
    ),
}
_ISB_SHOULDER: tuple[Turn, ...] = (
    ("plane_of_elevation", 1.0, "", 0.0),
    ("elevation", -1.0, "", 0.0),
    ("axial_rotation", 1.0, "", 0.0),
)


def _sides(limb: str) -> tuple[str, str]:
    return f"right_{limb}", f"left_{limb}"


def _angles(group: str, dofs: tuple[str, ...], turns: tuple[Turn, ...]) -> tuple[Angle, ...]:
    side, _, _ = group.partition("_")
    suffix = f"_{side[0]}" if side in SIDES else ""
    return tuple(
        Angle(f"{group}_{name}", group, dof, sign, (f"{coordinate}{suffix}", factor) if coordinate else None)
        for dof, (name, sign, coordinate, factor) in zip(dofs, turns, strict=True)
    )


GROUPS: tuple[str, ...] = (
    "pelvis",
    *_sides("hip"),
    *_sides("knee"),
    *_sides("ankle"),
    "trunk",
    *_sides("shoulder"),
    *_sides("elbow"),
)
"""In the order of the angles."""

_TURNS = {"pelvis": _PELVIS, "trunk": _TRUNK} | {g: t for limb, t in _LIMBS.items() for g in _sides(limb)}

ANGLES: tuple[Angle, ...] = (
    *(angle for group in GROUPS for angle in _angles(group, DOFS, _TURNS[group])),
    *(angle for group in _sides("shoulder") for angle in _angles(group, ISB_SHOULDER_DOFS, _ISB_SHOULDER)),
)
"""Three of each group in the order of `GROUPS`, and then ISB's Y-X-Y of the shoulders."""
NAMES: tuple[str, ...] = tuple(angle.name for angle in ANGLES)


def angles_of_group(group: str) -> list[int]:
    """Rows of the angles of a group, in `ANGLES`. Raises ValueError for an unknown group."""
    if group not in GROUPS:
        raise ValueError(f"no group of angles is called '{group}'; there are {', '.join(GROUPS)}")
    return [row for row, angle in enumerate(ANGLES) if angle.group == group]
