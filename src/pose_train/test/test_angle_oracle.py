"""The solver must give back the angles of bodies that are put together from them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_biomechanics import isb
from pose_biomechanics.angles import AngleOptions, AngleSolver
from pose_core.angles import AngleFlag
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S
from pose_train.studies import oracle as angle_oracle
from pose_train.studies import segment_chain
from pose_train.studies.oracle import MARKER_SET, SKELETONS_KNOWN, degrees, errors, expected, solved, turns_of
from pose_train.studies.segment_chain import HIP, LIFELIKE, PLAIN, SHOULDER, TRUNK, Values, place, turned

EXACT_DEG = 0.01

COORDINATES = {
    "pelvis_tilt": ("pelvis_anterior_tilt", -1.0),
    "pelvis_list": ("pelvis_right_drop", 1.0),
    "pelvis_rotation": ("pelvis_left_rotation", 1.0),
    "lumbar_extension": ("trunk_flexion", -1.0),
    "lumbar_bending": ("trunk_right_bending", 1.0),
    "lumbar_rotation": ("trunk_left_rotation", 1.0),
    **{
        f"{coordinate}_{side[0]}": (f"{side}_{angle}", sign)
        for side in ("right", "left")
        for coordinate, angle, sign in (
            ("hip_flexion", "hip_flexion", 1.0),
            ("hip_adduction", "hip_abduction", -1.0),
            ("hip_rotation", "hip_internal_rotation", 1.0),
            ("knee_angle", "knee_flexion", 1.0),
            ("ankle_angle", "ankle_dorsiflexion", 1.0),
            ("subtalar_angle", "ankle_eversion", -1.0),
            ("arm_flex", "shoulder_flexion", 1.0),
            ("arm_add", "shoulder_abduction", -1.0),
            ("arm_rot", "shoulder_internal_rotation", 1.0),
            ("elbow_flex", "elbow_flexion", 1.0),
            ("pro_sup", "elbow_pronation", 1.0),
        )
    },
}
"""Which angle a coordinate is, and its sign: written by hand from the model's documentation and the papers."""

TRUNK_ANGLES = ("trunk_right_bending", "trunk_left_rotation")
HAND, FEET = ("elbow_pronation",), ("ankle_dorsiflexion", "ankle_eversion", "ankle_internal_rotation")
SHOULDER_ANGLES = (
    *("flexion", "abduction", "internal_rotation"),
    *("plane_of_elevation", "elevation", "axial_rotation"),
)
LIMBS = (
    *("hip_flexion", "hip_abduction", "hip_internal_rotation", "knee_flexion", "elbow_flexion"),
    *(f"shoulder_{name}" for name in SHOULDER_ANGLES),
)
PELVIS = ("pelvis_anterior_tilt", "pelvis_right_drop", "pelvis_left_rotation")
TOLD = {
    MARKER_SET: tuple(angle_oracle.kinds()),
    "mediapipe33": (*PELVIS, *TRUNK_ANGLES, *LIMBS, *FEET, *HAND),
    "pose2sim22": (*PELVIS, *TRUNK_ANGLES, *LIMBS, *FEET),
    "h36m17": (*PELVIS, "trunk_flexion", *TRUNK_ANGLES, *LIMBS),
    "coco17": (*PELVIS, *TRUNK_ANGLES, *LIMBS),
}
"""What bent limbs tell of a body without further bends."""


def one(values: Values) -> dict[str, np.ndarray]:
    """The same for one body."""
    return {name: np.atleast_1d(np.asarray(value, float)) for name, value in values.items()}


# --- the chain itself ---


def test_segments_are_where_their_coordinates_put_them() -> None:
    def at(name: str, **values: float) -> list[float]:
        return np.round(place(values).point(name), 12).tolist()

    c30, s30 = math.cos(math.radians(30.0)), 0.5
    assert at("right_knee", hip_flexion_r=90.0) == pytest.approx([0.42, 0.0, HIP])
    assert at("right_ankle", knee_angle_r=90.0) == pytest.approx([-0.40, -0.42, HIP])
    assert at("right_knee", hip_adduction_r=30.0) == pytest.approx([0.0, -0.42 * c30, HIP - 0.42 * s30])
    assert at("left_knee", hip_adduction_l=30.0) == pytest.approx([0.0, -0.42 * c30, -HIP + 0.42 * s30])
    # A hip turned inwards takes the shin of a bent knee outwards.
    inwards = at("right_ankle", hip_rotation_r=30.0, knee_angle_r=90.0)
    assert inwards == pytest.approx([-0.40 * c30, -0.42, HIP + 0.40 * s30])
    assert at("left_ankle", hip_rotation_l=30.0, knee_angle_l=90.0)[2] == pytest.approx(-HIP - 0.40 * s30)
    assert at("right_foot_index", ankle_angle_r=90.0) == pytest.approx([0.07, -0.82 + 0.17, HIP])
    assert at("right_elbow", arm_add_r=-90.0) == pytest.approx([0.0, TRUNK, SHOULDER + 0.29])
    assert at("left_elbow", arm_add_l=-90.0) == pytest.approx([0.0, TRUNK, -SHOULDER - 0.29])
    assert at("left_elbow", arm_flex_l=90.0) == pytest.approx([0.29, TRUNK, -SHOULDER])
    assert at("right_wrist", elbow_flex_r=90.0) == pytest.approx([0.25, TRUNK - 0.29, SHOULDER])
    # Thumbs of hanging arms point outwards, and forward after half the way to the palms facing back.
    assert at("right_index")[2] == pytest.approx(SHOULDER + 0.05)
    assert at("right_index", pro_sup_r=90.0)[0] == pytest.approx(0.05)
    assert at("left_index", pro_sup_l=90.0)[0] == pytest.approx(0.05)
    assert at("neck", lumbar_extension=-90.0) == pytest.approx([TRUNK, 0.0, 0.0])
    assert at("neck", lumbar_bending=90.0) == pytest.approx([0.0, 0.0, TRUNK])
    assert at("right_hip", pelvis_rotation=90.0, pelvis_tx=1.0) == pytest.approx([1.0 + HIP, 0.0, 0.0])
    assert at("neck", pelvis_tilt=90.0) == pytest.approx([-TRUNK, 0.0, 0.0])
    assert at("right_elbow", shoulder_plane_r=90.0, shoulder_elevation_r=90.0) == pytest.approx(
        [0.29, TRUNK, SHOULDER]
    )
    assert at("left_elbow", shoulder_plane_l=0.0, shoulder_elevation_l=90.0) == pytest.approx(
        [0.0, TRUNK, -SHOULDER - 0.29]
    )


def test_the_chain_says_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="no coordinate is called 'hip_flex'"):
        place({"hip_flex": 1.0})
    with pytest.raises(ValueError, match="joint 'wrist' of skeleton 'hand21'"):
        place({}).joints("hand21")


def test_turning_and_moving_the_pelvis_moves_everything_alike() -> None:
    values = angle_oracle.sampled(5, np.random.default_rng(0))
    rest = {**values, **dict.fromkeys(("pelvis_tilt", "pelvis_list", "pelvis_rotation"), np.zeros(5))}
    there, here = place({**values, "pelvis_ty": 0.9}, LIFELIKE), place(rest, LIFELIKE)
    for skeleton in SKELETONS_KNOWN:
        moved = np.einsum("nij,nkj->nki", there.rotation["pelvis"], here.joints(skeleton))
        moved[..., 1] += 0.9
        np.testing.assert_allclose(there.joints(skeleton), moved, atol=1e-12)


@given(
    st.sampled_from(["ZXY", "YXZ", "YXY"]),
    st.tuples(st.floats(-179.0, 179.0), st.floats(1.0, 89.0), st.floats(-179.0, 179.0)),
)
@settings(max_examples=50, deadline=None)
def test_turns_come_back_from_the_rotation_they_make(
    sequence: str, turns: tuple[float, float, float]
) -> None:
    first, middle, last = turns
    middle = -middle if sequence == "YXY" else middle
    found = turns_of(turned(sequence, first, middle, last), sequence)
    np.testing.assert_allclose(found, [first, middle, last], atol=1e-9)


def test_an_equal_way_to_say_a_rotation_is_no_error() -> None:
    placed = place(one({"arm_add_r": -120.0, "arm_flex_r": 10.0, "arm_rot_r": 20.0}))
    true = expected(placed)
    same = {**true, "right_shoulder_flexion": np.array([10.0]), "right_shoulder_abduction": np.array([120.0])}
    same["right_shoulder_internal_rotation"] = np.array([20.0 + 360.0])
    assert max(float(error[0]) for error in errors(same, true).values()) < 1e-9
    same["right_shoulder_abduction"] = np.array([119.0])
    assert errors(same, true)["right_shoulder_abduction"][0] == pytest.approx(1.0)


# --- the solver ---


@pytest.mark.parametrize("coordinate", COORDINATES)
def test_every_coordinate_is_the_angle_that_its_name_says(coordinate: str) -> None:
    low, high = segment_chain.RANGES[coordinate]
    name, sign = COORDINATES[coordinate]
    for value in (0.2 * low, 0.4 * high):
        found = degrees(solved(place(one({coordinate: value})), MARKER_SET))
        assert found[name][0] == pytest.approx(sign * value, abs=EXACT_DEG)
        for other, _ in COORDINATES.values():
            if other != name and np.isfinite(found[other][0]):
                assert found[other][0] == pytest.approx(0.0, abs=EXACT_DEG), other


def test_opensims_names_and_signs_are_those_written_here() -> None:
    told = {angle.opensim[0]: (angle.name, angle.opensim[1]) for angle in isb.ANGLES if angle.opensim}
    assert told == COORDINATES


@pytest.mark.parametrize("seen", [MARKER_SET, *SKELETONS_KNOWN])
def test_angles_of_random_bodies_come_back(seen: str) -> None:
    fixed = {} if seen == MARKER_SET else angle_oracle.BENT
    worst = angle_oracle.recovery(seen, PLAIN, fixed, seed=3)
    told = {kind for kind, error in worst.items() if math.isfinite(error)}
    assert told == set(TOLD[seen])
    assert max(worst[kind] for kind in told) < EXACT_DEG


@given(
    st.fixed_dictionaries(
        {name: st.floats(0.99 * low, 0.99 * high) for name, (low, high) in segment_chain.RANGES.items()}
    )
)
@settings(max_examples=50, deadline=None)
def test_any_body_within_its_ranges_comes_back_from_markers(values: dict[str, float]) -> None:
    placed = place(one(values))
    found = solved(placed, MARKER_SET)
    worst = errors(degrees(found), expected(placed))
    for row, name in enumerate(isb.NAMES):
        # Within a degree of a singularity the outer angles say little; whatever is nearer than ten is flagged.
        if not found.flags[0, row] & AngleFlag.NEAR_GIMBAL_LOCK:
            assert worst[name][0] < EXACT_DEG, name


@pytest.mark.parametrize("seen", [MARKER_SET, *SKELETONS_KNOWN])
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_hinge_that_is_bent_far_stays_bent_the_same_way(seen: str, side: str) -> None:
    """A squat, and forearms with the palms up, to the side and down."""
    letter = side[0]
    values = {
        f"knee_angle_{letter}": np.array([100.0, 115.0, 119.0]),
        f"elbow_flex_{letter}": np.array([95.0, 120.0, 145.0]),
        f"pro_sup_{letter}": np.array([0.0, 90.0, 155.0]),
    }
    found = degrees(solved(place(values), seen))
    np.testing.assert_allclose(found[f"{side}_knee_flexion"], [100.0, 115.0, 119.0], atol=EXACT_DEG)
    np.testing.assert_allclose(found[f"{side}_elbow_flexion"], [95.0, 120.0, 145.0], atol=EXACT_DEG)
    if seen in (MARKER_SET, "mediapipe33"):
        np.testing.assert_allclose(found[f"{side}_elbow_pronation"], [0.0, 90.0, 155.0], atol=EXACT_DEG)


@pytest.mark.parametrize("side", ["right", "left"])
def test_noise_never_turns_a_hinge_over(side: str) -> None:
    """Hands are small: what noise does to pronation must not make an elbow seem bent the other way."""
    count, letter = 100, side[0]
    values = {f"elbow_flex_{letter}": 90.0, f"pro_sup_{letter}": 150.0, f"knee_angle_{letter}": 100.0}
    placed = place({name: np.full(count, value) for name, value in values.items()})
    solver = AngleSolver(SKELETONS.get("mediapipe33"), AngleOptions())
    random = np.random.default_rng(9)
    xyz = segment_chain.in_camera(placed.joints("mediapipe33"))
    xyz += 0.03 * random.standard_normal(xyz.shape)
    found = np.array(
        [
            solver.solve(angle_oracle.person(one, 0.03), int(stamp)).angle
            for one, stamp in zip(xyz, angle_oracle.stamps(count), strict=True)
        ]
    )
    for joint, flexion in (("elbow", 90.0), ("knee", 100.0)):
        row = isb.NAMES.index(f"{side}_{joint}_flexion")
        assert np.abs(np.degrees(found[:, row]) - flexion).max() < 45.0, joint


def test_markers_tell_what_a_knee_does_beside_bending() -> None:
    body = segment_chain.Body(knee_abduction=3.0, knee_rotation=12.0, subtalar_axis=LIFELIKE.subtalar_axis)
    worst = angle_oracle.recovery(MARKER_SET, body, seed=4)
    assert max(worst[kind] for kind in angle_oracle.kinds() if kind != "trunk_flexion") < EXACT_DEG


@pytest.mark.parametrize("pelvis_sequence", ["ZXY", "YXZ"])
@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33"])
def test_both_sequences_of_the_pelvis(seen: str, pelvis_sequence: str) -> None:
    values = {"pelvis_tilt": [20.0, -35.0], "pelvis_list": [30.0, -15.0], "pelvis_rotation": [40.0, 170.0]}
    placed = place({name: np.array(some) for name, some in values.items()}, pelvis_sequence=pelvis_sequence)
    found = degrees(solved(placed, seen, AngleOptions(pelvis_sequence=pelvis_sequence)))
    np.testing.assert_allclose(found["pelvis_anterior_tilt"], [-20.0, 35.0], atol=EXACT_DEG)
    np.testing.assert_allclose(found["pelvis_right_drop"], [30.0, -15.0], atol=EXACT_DEG)
    np.testing.assert_allclose(found["pelvis_left_rotation"], [40.0, 170.0], atol=EXACT_DEG)
    other = "YXZ" if pelvis_sequence == "ZXY" else "ZXY"
    differs = degrees(solved(placed, seen, AngleOptions(pelvis_sequence=other)))
    assert abs(differs["pelvis_anterior_tilt"][0] + 20.0) > 3.0


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33", "h36m17"])
def test_both_sequences_of_the_shoulder(seen: str, side: str) -> None:
    letter = side[0]
    planes, elevations = np.meshgrid([-40.0, 0.0, 45.0, 90.0, 120.0], [20.0, 60.0, 90.0, 140.0])
    values = {
        f"shoulder_plane_{letter}": planes.ravel(),
        f"shoulder_elevation_{letter}": elevations.ravel(),
        f"shoulder_axial_{letter}": np.linspace(-60.0, 60.0, planes.size),
        f"elbow_flex_{letter}": np.full(planes.size, 70.0),
    }
    found = degrees(solved(place(values), seen))
    for name, coordinate in (
        ("plane_of_elevation", "plane"),
        ("elevation", "elevation"),
        ("axial_rotation", "axial"),
    ):
        np.testing.assert_allclose(
            found[f"{side}_shoulder_{name}"], values[f"shoulder_{coordinate}_{letter}"], atol=EXACT_DEG
        )
    again = {f"elbow_flex_{letter}": values[f"elbow_flex_{letter}"]}
    for name, coordinate, sign in (
        ("flexion", "arm_flex", 1.0),
        ("abduction", "arm_add", -1.0),
        ("internal_rotation", "arm_rot", 1.0),
    ):
        again[f"{coordinate}_{letter}"] = sign * found[f"{side}_shoulder_{name}"]
    same, other = (place(some).rotation[f"{side}_humerus"] for some in (values, again))
    np.testing.assert_allclose(same, other, atol=1e-4)


@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33", "pose2sim22"])
@pytest.mark.parametrize("body", [PLAIN, LIFELIKE], ids=["plain", "lifelike"])
def test_a_mirrored_body_has_the_angles_of_its_other_side(seen: str, body: segment_chain.Body) -> None:
    values = angle_oracle.sampled(
        20, np.random.default_rng(5), {**angle_oracle.BENT, "lumbar_extension": (-40.0, 20.0)}
    )
    found = solved(place(values, body), seen)
    image = solved(place(segment_chain.mirrored(values), body), seen)
    swap = {"right": "left", "left": "right"}
    for row, name in enumerate(isb.NAMES):
        side, _, rest = name.partition("_")
        sign = -1.0 if rest in ("right_drop", "left_rotation", "right_bending") else 1.0
        other = isb.NAMES.index(f"{swap[side]}_{rest}" if side in swap else name)
        apart = angle_oracle.wrapped(np.degrees(found.angle[:, row] - sign * image.angle[:, other]))
        np.testing.assert_allclose(np.nan_to_num(apart), 0.0, atol=EXACT_DEG, err_msg=name)
        np.testing.assert_array_equal(np.isnan(found.angle[:, row]), np.isnan(image.angle[:, other]))
        np.testing.assert_array_equal(found.flags[:, row], image.flags[:, other], err_msg=name)
        np.testing.assert_allclose(found.std[:, row], image.std[:, other], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("skeleton", SKELETONS_KNOWN)
def test_standing_with_hanging_arms(skeleton: str) -> None:
    found = solved(place(one({"pelvis_tilt": 0.0})), skeleton)
    values = degrees(found)
    for name in ("pelvis_anterior_tilt", "right_hip_flexion", "left_knee_flexion", "right_shoulder_flexion"):
        assert values[name][0] == pytest.approx(0.0, abs=EXACT_DEG)
    for side in ("right", "left"):
        assert values[f"{side}_shoulder_elevation"][0] == pytest.approx(0.0, abs=EXACT_DEG)
        for name, flag in (
            ("hip_internal_rotation", AngleFlag.UNOBSERVABLE),
            ("shoulder_internal_rotation", AngleFlag.UNOBSERVABLE),
            ("shoulder_plane_of_elevation", AngleFlag.NEAR_GIMBAL_LOCK),
        ):
            row = isb.NAMES.index(f"{side}_{name}")
            assert found.flags[0, row] & flag, name
        for name in ("hip_internal_rotation", "shoulder_internal_rotation"):
            assert np.isnan(values[f"{side}_{name}"][0])


@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33"])
def test_the_t_pose(seen: str) -> None:
    placed = place(one({"arm_add_r": -90.0, "arm_add_l": -90.0}))
    found = solved(placed, seen)
    values = degrees(found)
    for side in ("right", "left"):
        assert values[f"{side}_shoulder_elevation"][0] == pytest.approx(90.0, abs=EXACT_DEG)
        assert values[f"{side}_shoulder_plane_of_elevation"][0] == pytest.approx(0.0, abs=EXACT_DEG)
        flags = {name: found.flags[0, isb.NAMES.index(f"{side}_shoulder_{name}")] for name in SHOULDER_ANGLES}
        assert flags["flexion"] & AngleFlag.NEAR_GIMBAL_LOCK
        for name in ("plane_of_elevation", "elevation"):
            assert not flags[name] & AngleFlag.NEAR_GIMBAL_LOCK


@pytest.mark.parametrize("pelvis_sequence", ["ZXY", "YXZ"])
@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33", "coco17"])
def test_two_full_spins_are_followed(seen: str, pelvis_sequence: str) -> None:
    turn = np.arange(0.0, 725.0, 5.0)
    values = {"pelvis_rotation": turn, "hip_flexion_r": 30.0 + 0.0 * turn, "knee_angle_r": 50.0 + 0.0 * turn}
    placed = place(values, pelvis_sequence=pelvis_sequence)
    found = degrees(solved(placed, seen, AngleOptions(pelvis_sequence=pelvis_sequence), streaming=True))
    steps = np.diff(found["pelvis_left_rotation"])
    np.testing.assert_allclose(steps, 5.0, atol=EXACT_DEG)
    for name, value in (
        ("pelvis_anterior_tilt", 0.0),
        ("pelvis_right_drop", 0.0),
        ("right_hip_flexion", 30.0),
        ("right_hip_internal_rotation", 0.0),
        ("right_knee_flexion", 50.0),
    ):
        np.testing.assert_allclose(found[name], value, atol=EXACT_DEG, err_msg=name)


@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33"])
def test_moving_through_a_singularity_keeps_to_the_coordinates(seen: str) -> None:
    """An arm that is raised sideways past the horizontal, and one that is turned meanwhile, as the coordinates go."""
    share = np.linspace(0.0, 1.0, 61)
    values = {
        "arm_add_r": -118.0 * share,
        "arm_flex_r": 10.0 + 15.0 * share,
        "arm_rot_r": -20.0 * share,
        "arm_add_l": -118.0 * share,
        "arm_flex_l": -10.0 + 0.0 * share,
        "elbow_flex_r": 60.0 + 0.0 * share,
        "elbow_flex_l": 60.0 + 0.0 * share,
    }
    found = degrees(solved(place(values), seen, streaming=True))
    for coordinate in ("arm_flex", "arm_add", "arm_rot"):
        for letter, side in (("r", "right"), ("l", "left")):
            name, sign = COORDINATES[f"{coordinate}_{letter}"]
            true = sign * values.get(f"{coordinate}_{letter}", 0.0 * share)
            # Close to the singularity only the sum or the difference of the outer two is determined.
            sure = np.abs(np.abs(values[f"arm_add_{letter}"]) - 90.0) > 5.0
            np.testing.assert_allclose(found[name][sure], true[sure], atol=EXACT_DEG, err_msg=side)


@pytest.mark.parametrize("seen", [MARKER_SET, "mediapipe33", "h36m17"])
def test_a_movement_from_standing_to_anywhere_has_the_coordinates_that_made_it(seen: str) -> None:
    fixed = {} if seen == MARKER_SET else angle_oracle.BENT
    ends = angle_oracle.sampled(12, np.random.default_rng(8), fixed)
    start = {name: value if isinstance(value, float) else value[0] for name, value in fixed.items()}
    share = np.linspace(0.0, 1.0, 91)
    for row in range(12):
        values = {
            name: start.get(name, 0.0) + share * (end[row] - start.get(name, 0.0))
            for name, end in ends.items()
        }
        as_opensim = AngleOptions(pelvis_sequence=isb.OPENSIM_PELVIS_SEQUENCE)
        sequence = solved(place(values), seen, as_opensim, streaming=True)
        found = degrees(sequence)
        for coordinate, (name, sign) in COORDINATES.items():
            sure = ~(sequence.flags[:, isb.NAMES.index(name)] & AngleFlag.NEAR_GIMBAL_LOCK).astype(bool)
            if np.isfinite(found[name]).any():
                np.testing.assert_allclose(
                    found[name][sure], sign * values[coordinate][sure], atol=EXACT_DEG, err_msg=name
                )


@pytest.mark.parametrize("seen", ["mediapipe33", "coco17"])
def test_straight_limbs_have_no_axial_rotation_and_keep_the_rest(seen: str) -> None:
    fixed = {
        **angle_oracle.BENT,
        **dict.fromkeys((f"{name}_{side}" for name in ("knee_angle", "elbow_flex") for side in "rl"), 2.0),
        **dict.fromkeys(
            (f"{name}_{side}" for name in ("hip_rotation", "arm_rot") for side in "rl"), (-30.0, 30.0)
        ),
        **{f"arm_add_{side}": (-60.0, 30.0) for side in "rl"},
    }
    placed = place(angle_oracle.sampled(30, np.random.default_rng(6), fixed))
    found = solved(placed, seen)
    wrong = errors(degrees(found), expected(placed))
    for side in ("right", "left"):
        for name in ("hip_internal_rotation", "shoulder_internal_rotation", "shoulder_axial_rotation"):
            row = isb.NAMES.index(f"{side}_{name}")
            assert np.isnan(found.angle[:, row]).all()
            assert (found.flags[:, row] & AngleFlag.UNOBSERVABLE).all()
        for name in ("hip_flexion", "hip_abduction", "shoulder_flexion", "shoulder_abduction"):
            assert np.nanmax(wrong[f"{side}_{name}"]) < EXACT_DEG, name
        # Which way a straight knee bends is taken from before, or from the neutral position: the bend itself is all that can be
        # wrong about it.
        assert np.nanmax(wrong[f"{side}_knee_flexion"]) < 2.0


def test_what_needs_a_missing_joint_says_so() -> None:
    placed = place(one({"knee_angle_r": 60.0}))
    xyz = segment_chain.in_camera(placed.joints("mediapipe33"))[0]
    skeleton = SKELETONS.get("mediapipe33")
    xyz[skeleton.index("right_ankle")] = np.nan
    solver = AngleSolver(skeleton, AngleOptions())
    found = solver.solve(angle_oracle.person(xyz), NS_PER_S)
    for name in ("right_knee_flexion", "right_ankle_dorsiflexion", "right_hip_internal_rotation"):
        row = isb.NAMES.index(name)
        assert np.isnan(found.angle[row])
        assert found.flags[row] & AngleFlag.JOINT_MISSING, name
    for name in ("right_hip_flexion", "left_knee_flexion", "pelvis_anterior_tilt"):
        row = isb.NAMES.index(name)
        assert np.isfinite(found.angle[row])
        assert not found.flags[row] & AngleFlag.JOINT_MISSING, name


def test_what_joints_do_not_show_leaks_as_stated() -> None:
    """Every number here follows from the geometry by hand."""
    joints, markers = (angle_oracle.leaks(seen) for seen in ("mediapipe33", MARKER_SET))
    bent = "trunk flexion, about the hips"
    assert joints[bent, "pelvis_anterior_tilt"] == pytest.approx(1.0, abs=1e-3)
    # The thigh stands still while the pelvis seems to tilt.
    assert joints[bent, "hip_flexion"] == pytest.approx(1.0, abs=1e-3)
    assert markers[bent, "pelvis_anterior_tilt"] == pytest.approx(0.0, abs=1e-3)
    above = "trunk flexion, 12 cm above the hips"
    # Seen from the hips the neck is at (-0.03, 0.12) + Rz(-30 degrees) (0.03, TRUNK - 0.12).
    c, s = math.cos(math.radians(30.0)), math.sin(math.radians(30.0))
    x, y = -0.03 + 0.03 * c + (TRUNK - 0.12) * s, 0.12 - 0.03 * s + (TRUNK - 0.12) * c
    lean = math.degrees(math.atan2(x, y)) / 30.0
    assert joints[above, "pelvis_anterior_tilt"] == pytest.approx(lean, abs=1e-3)
    out = "foot pointing outwards"
    assert markers[out, "ankle_internal_rotation"] == pytest.approx(-1.0, abs=1e-3)
    assert joints[out, "ankle_internal_rotation"] == pytest.approx(-1.0, abs=1e-3)
