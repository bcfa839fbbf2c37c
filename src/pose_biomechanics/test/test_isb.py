"""The table of angles: names that say their sign, columns, and OpenSim's coordinates."""

from __future__ import annotations

from pathlib import Path

import pytest

from pose_biomechanics.isb import ANGLES, DOFS, GROUPS, ISB_SHOULDER_DOFS, NAMES, angles_of_group
from pose_core.skeleton import mirror


def test_twelve_groups_of_three_and_the_shoulders_twice():
    assert len(GROUPS) == 12
    assert [(angle.group, angle.dof) for angle in ANGLES[:36]] == [(g, dof) for g in GROUPS for dof in DOFS]
    assert [(angle.group, angle.dof) for angle in ANGLES[36:]] == [
        (f"{side}_shoulder", dof) for side in ("right", "left") for dof in ISB_SHOULDER_DOFS
    ]
    assert len(set(NAMES)) == len({angle.column for angle in ANGLES}) == 42


def test_columns_are_those_of_the_files():
    columns = {angle.name: angle.column for angle in ANGLES}
    assert columns["right_knee_flexion"] == "right_knee_flex_deg"
    assert columns["left_hip_internal_rotation"] == "left_hip_rot_deg"
    assert columns["pelvis_anterior_tilt"] == "pelvis_flex_deg"
    assert columns["left_shoulder_plane_of_elevation"] == "left_shoulder_plane_deg"


def test_left_and_right_are_alike():
    by_name = {angle.name: angle for angle in ANGLES}
    right = [angle for angle in ANGLES if angle.group.startswith("right_")]
    assert len(right) == 18
    for angle in right:
        other = by_name[mirror(angle.name)]
        assert (other.group, other.dof, other.sign) == (mirror(angle.group), angle.dof, angle.sign)
        if angle.opensim is None:
            assert other.opensim is None
        else:
            name, factor = angle.opensim
            assert name.endswith("_r")
            assert other.opensim == (f"{name[:-2]}_l", factor)


@pytest.mark.parametrize(
    ("words", "sign"),
    [
        # A positive turn about Z lifts what is in front of the joint; of the pelvis and trunk, the front itself.
        (("hip_flexion", "shoulder_flexion", "elbow_flexion", "ankle_dorsiflexion"), 1.0),
        (("knee_flexion", "trunk_flexion", "pelvis_anterior_tilt"), -1.0),
        # About X it lowers the right side, and swings what hangs to the left, a right limb's middle.
        (("abduction", "eversion", "shoulder_elevation"), -1.0),
        (("pelvis_right_drop", "trunk_right_bending"), 1.0),
        # About Y it turns the front to the left.
        (("internal_rotation", "pronation", "left_rotation", "plane_of_elevation", "axial_rotation"), 1.0),
    ],
)
def test_signs_follow_from_the_axes(words: tuple[str, ...], sign: float):
    found = [angle for angle in ANGLES if angle.name.endswith(words)]
    assert found
    assert {angle.sign for angle in found} == {sign}


def test_every_angle_has_its_sign_checked_above():
    ends = (
        "flexion",
        "tilt",
        "abduction",
        "eversion",
        "elevation",
        "drop",
        "bending",
        "rotation",
        "pronation",
    )
    assert all(angle.name.endswith(ends) for angle in ANGLES)


def test_opensims_factor_undoes_the_sign_of_the_name():
    """OpenSim counts turns about the axes as they are, but for the knee, whose coordinate is positive in flexion."""
    for angle in ANGLES:
        if angle.opensim and "knee" not in angle.name:
            assert angle.opensim[1] == angle.sign, angle.name
    assert [a.opensim for a in ANGLES if a.name == "right_knee_flexion"] == [("knee_angle_r", 1.0)]


def test_rows_of_a_group():
    assert [NAMES[row] for row in angles_of_group("left_shoulder")] == [
        "left_shoulder_flexion",
        "left_shoulder_abduction",
        "left_shoulder_internal_rotation",
        "left_shoulder_plane_of_elevation",
        "left_shoulder_elevation",
        "left_shoulder_axial_rotation",
    ]
    with pytest.raises(ValueError, match="no group of angles is called 'wrist'"):
        angles_of_group("wrist")


def test_the_documentation_has_every_angle():
    """In the table of docs/angles.md: name, column, and OpenSim's coordinate with the factor to its sign."""
    document = Path(__file__).parents[3] / "docs" / "angles.md"
    rows = [line.split("|")[1:-1] for line in document.read_text().splitlines() if line.startswith("| `")]
    written = {
        row[0].strip(): (row[1].strip(), row[3].strip())
        for row in rows
        if len(row) == 4 and "_deg`" in row[1]
    }
    for angle in ANGLES:
        side, _, rest = angle.name.partition("_")
        sided = angle.group.startswith(("right_", "left_"))
        name = f"`{{side}}_{rest}`" if sided else f"`{angle.name}`"
        column = angle.column.replace(f"{side}_", "{side}_") if sided else angle.column
        coordinate, factor = angle.opensim or ("", 1.0)
        coordinate = f"{coordinate[:-1]}{{s}}" if sided and coordinate else coordinate
        expected = f"`{coordinate}`" + (" (opposite sign)" if factor < 0 else "") if coordinate else "none"
        assert written[name] == (f"`{column}`", expected)
    assert len(written) == 6 + 18
