"""Left and right put right: hand-made walkers before a camera, and detectors that swap this and that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.filtering.swaps import MAX_GAP, WARM_UP, SwapRepair, exchanged, exchanged_person
from pose_core.people import JointState, Person3D
from pose_core.skeleton import MEDIAPIPE33, SKELETONS, Skeleton, side

RATES = pytest.mark.parametrize("rate", [15, 30, 60])
J = len(MEDIAPIPE33)
PX = 400.0
"""Pixels per metre in the image."""

# The left half, metres: x to the person's left, y down, z to the front; arms and legs hang from shoulder and hip.
FACE = {
    "nose": (0.0, -0.66, 0.12),
    "left_eye_inner": (0.015, -0.70, 0.10),
    "left_eye": (0.03, -0.70, 0.095),
    "left_eye_outer": (0.045, -0.70, 0.085),
    "left_ear": (0.075, -0.69, 0.01),
    "mouth_left": (0.025, -0.62, 0.10),
}
SHOULDER, HIP = np.array([0.18, -0.5, 0.0]), np.array([0.10, 0.0, 0.0])
ARMS = ("shoulder", "elbow", "wrist", "pinky", "index", "thumb")
LEGS = ("hip", "knee", "ankle", "heel", "foot_index")


def joints_of(*parts: str) -> np.ndarray:
    """(33,) the joints of both sides whose names end in one of `parts`."""
    names = {f"{s}_{part}" for part in parts for s in ("left", "right")}
    return np.array([joint in names for joint in MEDIAPIPE33.joints])


EVERYTHING = np.array([side(joint) != "centre" for joint in MEDIAPIPE33.joints])
SWAPS = {
    "the whole body": EVERYTHING,
    "arms": joints_of(*ARMS),
    "arms below the shoulders": joints_of(*ARMS[1:]),
    "hands": joints_of(*ARMS[2:]),
    "legs": joints_of(*LEGS),
    "legs below the hips": joints_of(*LEGS[1:]),
    "feet": joints_of(*LEGS[2:]),
}


def swing(angle: float, length: float, outwards: float = 0.0) -> np.ndarray:
    """A bone that hangs down, turned to the front by `angle`."""
    return np.array([outwards, length * np.cos(angle), length * np.sin(angle)])


def half(phase: float) -> dict[str, np.ndarray]:
    """Arm and leg of one side at `phase` of a step, x outwards."""
    thigh, arm = 0.45 * np.sin(phase), -0.4 * np.sin(phase)
    shank, forearm = thigh - 0.35 - 0.35 * np.cos(phase), arm + 0.4
    elbow = SHOULDER + swing(arm, 0.28, 0.06)
    wrist = elbow + swing(forearm, 0.25)
    knee = HIP + swing(thigh, 0.43, 0.01)
    ankle = knee + swing(shank, 0.42)
    return {
        "shoulder": SHOULDER,
        "elbow": elbow,
        "wrist": wrist,
        "pinky": wrist + swing(forearm, 0.08, 0.02),
        "index": wrist + swing(forearm, 0.08, -0.02),
        "thumb": wrist + swing(forearm, 0.08, -0.04),
        "hip": HIP,
        "knee": knee,
        "ankle": ankle,
        "heel": ankle + swing(-0.8, 0.07),
        "foot_index": ankle + swing(1.1, 0.16, 0.02),
    }


def body(phase: float, yaw: float = 0.0) -> np.ndarray:
    """(33, 3) metres, camera axes: a walker at `phase`, who faces the camera and has then turned by `yaw`."""
    sides = {"left": half(phase), "right": half(phase + np.pi)}
    joints = []
    for joint in MEDIAPIPE33.joints:
        if joint in FACE:
            joints.append(np.array(FACE[joint]))
        elif (other := MEDIAPIPE33.joints[MEDIAPIPE33.flip[MEDIAPIPE33.index(joint)]]) in FACE:
            joints.append(np.array(FACE[other]) * (-1, 1, 1))
        else:
            of, part = joint.split("_", 1)
            joints.append(sides[of][part] * (1 if of == "left" else -1, 1, 1))
    left, down, front = np.array(joints).T
    return np.stack(
        [left * np.cos(yaw) + front * np.sin(yaw), down, left * np.sin(yaw) - front * np.cos(yaw)], -1
    )


def walk(
    rate: float, seconds: float, yaw: float | Callable[[float], float] = 0.0, dims: int = 2
) -> np.ndarray:
    """(T, 33, dims): a walk, two steps in a second; pixels in 2D, metres in 3D."""
    times = np.arange(round(seconds * rate)) / rate
    xyz = np.array([body(2 * np.pi * t, yaw(t) if callable(yaw) else yaw) for t in times])
    return xyz if dims == 3 else PX * xyz[..., :2] + (600.0, 400.0)


def stamps(rate: float, count: int) -> list[int]:
    return [1_000_000_000 + round(k * 1e9 / rate) for k in range(count)]


def watched(
    positions: np.ndarray,
    rate: float,
    confidence: float = 0.9,
    std: float | None = None,
    repair: SwapRepair | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What comes out of all frames: positions (T, 33, D) and masks (T, 33)."""
    repair = repair or SwapRepair(MEDIAPIPE33)
    deviations = None if std is None else np.full(J, std)
    out = [
        repair.repair(stamp, frame, np.where(np.isnan(frame[:, 0]), 0.0, confidence), deviations)
        for stamp, frame in zip(stamps(rate, len(positions)), positions, strict=True)
    ]
    return np.array([one for one, _ in out]), np.array([mask for _, mask in out])


def with_swap(positions: np.ndarray, frames: slice, joints: np.ndarray) -> np.ndarray:
    """A detector that has swapped `joints` (33,) in those frames."""
    out = positions.copy()
    out[frames, joints] = out[frames][:, MEDIAPIPE33.flip][:, joints]
    return out


@RATES
@pytest.mark.parametrize("yaw_deg", [0, 40, 90, 135, 180])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_walker_is_left_alone_from_every_side(rate, yaw_deg, dims):
    """At 90 degrees the legs pass through each other in the image, twice a second."""
    positions = walk(rate, 2.0, np.radians(yaw_deg), dims)
    positions += np.random.default_rng(0).normal(0.0, 0.008 * (PX if dims == 2 else 1.0), positions.shape)
    out, swapped = watched(positions, rate, std=0.05 if dims == 3 else None)
    assert not swapped.any()
    np.testing.assert_array_equal(out, positions)


@RATES
@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("start_deg", [-90, 0, 45])
def test_a_fast_turn_is_no_swap(rate, dims, start_deg):
    """180 degrees in 0.4 s, slow at both ends: at its fastest 840 degrees per second."""

    def yaw(t: float) -> float:
        s = np.clip((t - 1.0) / 0.4, 0.0, 1.0)
        return np.radians(start_deg) + np.pi * (10 * s**3 - 15 * s**4 + 6 * s**5)

    _, swapped = watched(walk(rate, 2.0, yaw, dims), rate)
    assert not swapped.any()


@RATES
def test_hands_that_clap_and_legs_that_jump_apart_are_no_swap(rate):
    """Differences go to zero and come back, or pass through zero, at up to 6 m/s."""
    times = np.arange(2 * rate) / rate
    positions = walk(rate, 2.0) * 0.0 + walk(rate, 0.1)[:1]
    for joint in np.flatnonzero(joints_of(*ARMS[2:], *LEGS[1:])):
        sign = 1.0 if side(MEDIAPIPE33.joints[joint]) == "left" else -1.0
        positions[:, joint, 0] = 600.0 + sign * PX * 0.5 * np.abs(np.sin(2 * np.pi * times))
    crossing = positions.copy()
    for joint in np.flatnonzero(joints_of(*ARMS[2:])):
        sign = 1.0 if side(MEDIAPIPE33.joints[joint]) == "left" else -1.0
        crossing[:, joint, 0] = 600.0 + sign * PX * 0.3 * np.cos(2 * np.pi * times)
    for one in (positions, crossing):
        assert not watched(one, rate)[1].any()


@pytest.mark.parametrize(
    ("what", "dims", "rate"),
    [
        (what, dims, rate)
        for what in SWAPS
        for dims in (2, 3)
        for rate in (15, 30, 60)
        if dims == 3 or rate > 15 or what not in ("hands", "feet")
    ],
)
def test_a_burst_of_swaps_is_repaired_and_flagged(what, dims, rate):
    """It begins with the legs apart: while they pass each other nothing could tell. In 2D, hands or feet alone are too little
    evidence between images that are far apart in time."""
    truth = walk(rate, 2.5, np.radians(20), dims)
    burst = slice(round(1.25 * rate), round(1.6 * rate))
    out, swapped = watched(with_swap(truth, burst, SWAPS[what]), rate)
    expected = np.zeros((len(truth), J), bool)
    expected[burst] = SWAPS[what]
    np.testing.assert_array_equal(swapped, expected)
    np.testing.assert_array_equal(out, truth)


@RATES
def test_bursts_that_follow_one_another_are_repaired(rate):
    """Front for back, back again, then only the legs: as MediaPipe does on a person who leans."""
    truth = walk(rate, 3.0, np.radians(-20))
    seen = with_swap(truth, slice(rate, rate + rate // 5), EVERYTHING)
    seen = with_swap(seen, slice(rate + rate // 3, rate + rate // 2), EVERYTHING)
    seen = with_swap(seen, slice(rate + rate // 2, rate + 4 * rate // 5), joints_of(*LEGS))
    np.testing.assert_array_equal(watched(seen, rate)[0], truth)


@pytest.mark.parametrize("rate", [30, 60])
def test_a_detector_that_smooths_takes_frames_to_swap(rate):
    """Positions pass from one side to the other over some frames; afterwards they are right, and again after the end."""
    truth = walk(rate, 2.5)
    seen = with_swap(truth, slice(rate, round(1.6 * rate)), EVERYTHING)
    for k in range(1, len(seen)):
        seen[k] = 0.6 * seen[k] + 0.4 * seen[k - 1]
    _, swapped = watched(seen, rate)
    wrong = swapped[:, 11] != [rate <= k < 1.6 * rate for k in range(len(seen))]
    assert wrong.sum() <= 2
    assert not swapped[:rate].any()
    assert not swapped[round(1.6 * rate) + 2 :].any()


@RATES
@pytest.mark.parametrize("frames", [1, 3])
def test_a_track_that_begins_swapped_is_believed_when_the_detector_corrects_itself(rate, frames):
    seen = with_swap(walk(rate, 2.0), slice(0, frames), EVERYTHING)
    assert not watched(seen, rate)[1].any()


def test_nothing_is_claimed_of_somebody_seen_for_a_moment():
    rate = 60
    first = round(0.8 * WARM_UP * rate)
    seen = with_swap(walk(rate, 1.0), slice(first, None), EVERYTHING)
    assert not watched(seen, rate)[1].any()


def test_the_longer_labelling_wins_and_memory_is_bounded():
    """Seen rightly for 1 s: a swap is repaired for about 1 s. Seen rightly for very long: for 0.7 times the memory."""
    rate, memory = 30, 2.0
    for before, most in ((1.0, 1.05), (12.0, 0.7 * memory)):
        seen = with_swap(walk(rate, before + 3.0), slice(round(before * rate), None), EVERYTHING)
        _, swapped = watched(seen, rate, repair=SwapRepair(MEDIAPIPE33, memory))
        claimed = swapped[:, 11].sum() / rate
        assert 0.6 * most < claimed <= most + 0.05
        assert not swapped[-rate:].any()


def test_unsure_labels_count_less():
    """What was seen for 1 s with a confidence of 0.9 stands against a swap of confidence 0.3 for longer."""
    rate = 30
    seen = with_swap(walk(rate, 4.5), slice(rate, None), EVERYTHING)
    claimed = []
    for confidence in (0.9, 0.3):
        repair = SwapRepair(MEDIAPIPE33)
        masks = [
            repair.repair(stamp, frame, np.full(J, 0.9 if k < rate else confidence))[1]
            for k, (stamp, frame) in enumerate(zip(stamps(rate, len(seen)), seen, strict=True))
        ]
        claimed.append(np.any(masks, axis=1).sum())
    assert claimed[1] > 1.5 * claimed[0]


def test_missing_joints_move_with_their_limb_and_others_decide():
    rate = 30
    truth = walk(rate, 2.0)
    truth[:, MEDIAPIPE33.indices("left_wrist", "left_ankle")] = np.nan
    burst = slice(rate, rate + 10)
    out, swapped = watched(with_swap(truth, burst, EVERYTHING), rate)
    assert swapped[burst][:, EVERYTHING].all()
    assert swapped.sum() == 10 * EVERYTHING.sum()
    np.testing.assert_array_equal(out, truth)


def test_a_limb_that_comes_back_within_a_burst_is_put_right():
    rate = 30
    truth = walk(rate, 2.5)
    truth[: rate + 5, joints_of(*LEGS[1:])] = np.nan
    out, _ = watched(with_swap(truth, slice(rate, rate + 15), EVERYTHING), rate)
    np.testing.assert_array_equal(out, truth)


def test_frames_without_anybody_change_nothing():
    rate, truth = 30, walk(30, 2.0)
    seen = with_swap(truth, slice(rate, rate + 10), EVERYTHING)
    gone = slice(rate + 3, rate + 5)
    truth[gone] = seen[gone] = np.nan
    np.testing.assert_array_equal(watched(seen, rate)[0], truth)


def test_a_gap_and_a_stamp_that_goes_back_begin_anew():
    rate, truth = 30, walk(30, 1.0)
    flipped = with_swap(truth, slice(None), EVERYTHING)
    sure = np.full(J, 0.9)
    last = stamps(rate, rate)[-1]
    for elapsed, again in ((0.03, True), (MAX_GAP + 0.01, False), (-0.5, False), (0.0, False)):
        repair = SwapRepair(MEDIAPIPE33)
        watched(truth, rate, repair=repair)
        _, swapped = repair.repair(last + round(elapsed * 1e9), flipped[-1], sure)
        assert swapped.any() == again
    repair = SwapRepair(MEDIAPIPE33)
    watched(truth, rate, repair=repair)
    repair.reset()
    assert not repair.repair(last + 30_000_000, flipped[-1], sure)[1].any()


def test_frames_may_come_unevenly():
    """A swap that begins with lost images is repaired all the same: 0.1 s without one."""
    rate, truth = 60, walk(60, 2.0)
    seen = with_swap(truth, slice(60, 90), EVERYTHING)
    keep = [k for k in range(120) if not 56 <= k < 62 and k % 7]
    repair = SwapRepair(MEDIAPIPE33)
    for k in keep:
        out, swapped = repair.repair(stamps(rate, 120)[k], seen[k], np.full(J, 0.9))
        assert swapped.any() == (60 <= k < 90)
        np.testing.assert_array_equal(out, truth[k])


def test_a_face_goes_with_the_body_but_never_alone():
    rate, truth = 30, walk(30, 2.0)
    face = EVERYTHING & ~joints_of(*ARMS, *LEGS)
    assert face.sum() == 10
    assert not watched(with_swap(truth, slice(rate, rate + 10), face), rate)[1].any()


def test_bones_tell_in_3d_what_continuity_cannot():
    """Hands that were not seen for 0.45 s and come back swapped: in the image they may be anywhere by then."""
    rate = 60
    for dims in (2, 3):
        truth = walk(rate, 2.0, dims=dims)
        truth[rate : rate + 27] = np.nan
        _, swapped = watched(with_swap(truth, slice(rate + 27, rate + 40), SWAPS["hands"]), rate)
        expected = SWAPS["hands"] if dims == 3 else np.zeros(J, bool)
        np.testing.assert_array_equal(swapped[rate + 28], expected)


def test_in_3d_nobody_is_made_to_walk_backwards():
    """A lifter that takes front for back mirrors depth as well: nose and feet agree with the labels, which must not change."""
    rate = 30
    truth = walk(rate, 2.0, dims=3)
    seen = with_swap(truth, slice(rate, rate + 10), EVERYTHING)
    assert watched(seen, rate)[1].any()
    seen[rate : rate + 10, :, 2] *= -1.0
    assert not watched(seen, rate)[1].any()


def test_in_3d_a_person_labelled_backwards_is_repaired_for_longer_than_memory():
    rate = 30
    for dims in (2, 3):
        seen = with_swap(walk(rate, 5.0, dims=dims), slice(rate, None), EVERYTHING)
        _, swapped = watched(seen, rate)
        assert swapped[-1].any() == (dims == 3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dims=st.sampled_from([2, 3]),
    skeleton=st.sampled_from(list(SKELETONS)),
    gone=st.floats(0.0, 0.6),
    jumpy=st.floats(0.0, 1.0),
)
def test_positions_only_ever_change_their_names(seed, dims, skeleton, gone, jumpy):
    """Whatever comes in: noise, jumps, flips, missing joints, uneven time."""
    of = SKELETONS.get(skeleton)
    random = np.random.default_rng(seed)
    repair, base, stamp = SwapRepair(of), random.normal(0.0, 50.0, (len(of), dims)), 0
    for _ in range(25):
        stamp += int(random.integers(1, 200_000_000))
        positions = base + random.normal(0.0, 1.0 + 20.0 * jumpy * random.random(), base.shape)
        if random.random() < jumpy:
            positions = positions[of.flip]
        confidence = random.random(len(of))
        lost = random.random(len(of)) < gone
        positions[lost], confidence[lost] = np.nan, 0.0
        before = positions.copy()
        out, swapped = repair.repair(stamp, positions, confidence, random.random(len(of)))
        np.testing.assert_array_equal(positions, before)
        np.testing.assert_array_equal(swapped, swapped[of.flip])
        np.testing.assert_array_equal(out[~swapped], before[~swapped])
        np.testing.assert_array_equal(out[swapped], before[of.flip][swapped])
        assert not any(swapped[row] for row, joint in enumerate(of.joints) if side(joint) == "centre")


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_unit_does_not_matter(scale):
    rate = 30
    truth = walk(rate, 2.0)
    seen = with_swap(truth, slice(rate, rate + 10), EVERYTHING)
    np.testing.assert_array_equal(watched(scale * seen, rate)[0], scale * truth)


@pytest.mark.parametrize("skeleton", [one for one in SKELETONS if one != "hand21"])
def test_every_body_is_repaired(skeleton):
    """Parts come from names and tree: one point for each joint, left and right 0.3 m apart, swaying."""
    of = SKELETONS.get(skeleton)
    rate, repair = 30, SwapRepair(of)
    place = {"left": 0.15, "right": -0.15, "centre": 0.0}
    base = np.array([(place[side(joint)], 0.02 * row) for row, joint in enumerate(of.joints)])
    for k, stamp in enumerate(stamps(rate, 60)):
        truth = base + 0.02 * np.sin(0.2 * k)
        swap = 30 <= k < 40
        out, swapped = repair.repair(stamp, truth[of.flip] if swap else truth, np.full(len(of), 0.8))
        np.testing.assert_array_equal(out, truth)
        assert swapped.sum() == swap * sum(side(joint) != "centre" for joint in of.joints)


def test_a_hand_has_no_sides():
    hand = SKELETONS.get("hand21")
    xyz = np.ones((21, 3))
    out, swapped = SwapRepair(hand).repair(1, xyz, np.ones(21))
    assert out is xyz
    assert not swapped.any()


def test_a_skeleton_of_other_names_has_its_own_limbs():
    spider = Skeleton(
        name="spider",
        joints=(
            "trunk",
            *(f"{s}_{part}" for s in ("left", "right") for part in ("claw_a", "claw_b", "claw_c")),
        ),
        root="trunk",
        bones=tuple(
            bone
            for s in ("left", "right")
            for bone in (
                ("trunk", f"{s}_claw_a"),
                (f"{s}_claw_a", f"{s}_claw_b"),
                (f"{s}_claw_b", f"{s}_claw_c"),
            )
        ),
        source="none",
    )
    repair = SwapRepair(spider)
    still = np.array([(0.0, 0.0), (0.3, 0.0), (0.4, 0.1), (0.5, 0.2), (-0.3, 0.0), (-0.4, 0.1), (-0.5, 0.2)])
    for stamp in stamps(30, 30):
        repair.repair(stamp, still, np.ones(7))
    out, swapped = repair.repair(stamps(30, 31)[-1], still[spider.flip], np.ones(7))
    np.testing.assert_array_equal(out, still)
    np.testing.assert_array_equal(swapped, [False] + 6 * [True])


def test_memory_must_be_longer_than_warming_up():
    with pytest.raises(ValueError, match="memory must exceed 0.25 s, got 0.1"):
        SwapRepair(MEDIAPIPE33, 0.1)


def test_all_that_belongs_to_a_joint_changes_places_with_it():
    rows = np.arange(J, dtype=float)
    person = Person3D(
        "p1",
        0.9,
        np.stack([rows] * 3, 1),
        rows,
        np.ones(3),
        rows / 100,
        np.full(J, JointState.LIFTED, np.uint8),
    )
    person.state[MEDIAPIPE33.index("left_knee")] = JointState.MEASURED
    swapped = joints_of("knee")
    left, right = MEDIAPIPE33.indices("left_knee", "right_knee")
    np.testing.assert_array_equal(exchanged(rows, MEDIAPIPE33, swapped)[[left, right]], [right, left])
    found = exchanged_person(person, MEDIAPIPE33, swapped)
    for name in ("xyz", "std", "joint_confidence", "state"):
        before, after = getattr(person, name), getattr(found, name)
        np.testing.assert_array_equal(after[[left, right]], before[[right, left]])
        np.testing.assert_array_equal(after[~swapped], before[~swapped])
    assert found.id == "p1"
    assert (found.root_std == 1.0).all()


@pytest.mark.parametrize("factor", [0.0, 1e-200, 1e200])
@pytest.mark.parametrize("dims", [2, 3])
def test_sizes_that_no_person_has_leave_no_trace(factor: float, dims: int):
    skeleton = SKELETONS.get("mediapipe33")
    repair, random = SwapRepair(skeleton), np.random.default_rng(0)
    person, sure = random.normal(0.0, 1.0, (33, dims)), np.full(33, 0.9)
    with np.errstate(all="raise"):
        for frame in range(60):
            absurd = frame in range(20, 25)
            given = factor * person if absurd else person[skeleton.flip] if frame > 55 else person
            positions, swapped = repair.repair(frame * 33_000_000, given, sure)
            np.testing.assert_array_equal(positions, given if absurd else person)
            assert swapped.any() == (frame > 55)
