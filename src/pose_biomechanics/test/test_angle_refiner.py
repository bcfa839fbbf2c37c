"""Refined angles: limits that no network can break, memory by person, and what the weights that ship do to people."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from pose_biomechanics import angle_encoding, angle_refiner
from pose_biomechanics.angle_card import AngleCard
from pose_biomechanics.angle_encoding import CONTEXT, FEATURES, ROWS
from pose_biomechanics.angle_encoding import PELVIS_SEQUENCE as SEQUENCE
from pose_biomechanics.angle_refiner import FILLED_STD, AngleRefiner, corrected
from pose_biomechanics.isb import GROUPS, NAMES
from pose_core.angles import PELVIS_SEQUENCES, AngleFlag, AngleSequence, PeopleAngles, PersonAngles
from pose_core.networks.runtime import Outputs, Session, State
from pose_core.units import NS_PER_S

FRAME = NS_PER_S // 30
HARM = 0.4
few = settings(max_examples=50, deadline=None)
SHIPPED = angle_refiner.WEIGHTS / f"{angle_refiner.NETWORK}.onnx"


def at(name: str) -> int:
    return NAMES.index(name)


class Turning(Session[AngleCard]):
    """A network that turns each group by what it is told, times how many frames it remembers of the person."""

    device = "cpu"
    failures = ()

    def __init__(self, turn: np.ndarray) -> None:
        self.card = AngleCard(
            network="turning",
            config={},
            skeleton="mediapipe33",
            outputs=("turn",),
            state=((1,),),
            metrics={"harm_degrees": HARM},
        )
        self.turn, self.steps = turn, list[float]()

    def run(self, joints: np.ndarray, context: np.ndarray, state: State) -> tuple[Outputs, State]:
        assert joints.shape[1:] == (12, len(FEATURES))
        assert context.shape[1:] == (len(CONTEXT),)
        self.steps += context[:, 0].tolist()
        frames = state[0] + 1.0
        return {"turn": (frames[..., None] * self.turn).astype(np.float32)}, [frames]


@pytest.fixture
def refiner(monkeypatch: pytest.MonkeyPatch) -> AngleRefiner:
    """Bends the right knee by 2 degrees in a person's first frame, by 4 in the second, and so on."""
    turn = np.zeros((12, 3))
    turn[GROUPS.index("right_knee"), 2] = -np.radians(2.0)
    monkeypatch.setattr(angle_refiner, "_open", lambda path, changed: Turning(turn))
    return AngleRefiner()


def person(id: str = "p1", std: float = 0.1, **angles: float) -> PersonAngles:
    """Somebody in the neutral position but for the `angles` in degrees."""
    angle = np.zeros(len(NAMES))
    for name, degrees in angles.items():
        angle[at(name)] = np.radians(degrees)
    return PersonAngles(id, angle, np.full(len(NAMES), std), np.zeros(len(NAMES), np.uint8))


def image(frame: int, *people: PersonAngles) -> PeopleAngles:
    return PeopleAngles(NS_PER_S + frame * FRAME, "camera", NAMES, people, pelvis_sequence=SEQUENCE)


def knee(people: PeopleAngles, row: int = 0) -> float:
    return float(np.degrees(people.people[row].angle[at("right_knee_flexion")]))


turns = arrays(np.float64, (12, 3), elements=st.floats(-3.0, 3.0))
angles = arrays(np.float64, (len(NAMES),), elements=st.floats(-4.0, 4.0))
deviations = arrays(np.float64, (len(NAMES),), elements=st.floats(0.0, 1.0))


@pytest.mark.parametrize("sequence", ["ZXY", "YXZ"])
@given(turn=turns, angle=angles, std=deviations, data=st.data())
@few
def test_no_angle_moves_beyond_its_deviation(sequence, turn, angle, std, data):
    rows = st.sets(st.integers(0, len(NAMES) - 1), max_size=8)
    gone, unsure = sorted(data.draw(rows)), sorted(data.draw(rows))
    angle[gone], std[unsure] = np.nan, np.nan
    after = corrected(angle, std, turn, sequence)
    np.testing.assert_array_equal(np.isnan(after), np.isnan(angle))
    known = np.isfinite(angle)
    limit = np.where(np.isfinite(std), std, 0.0)
    assert (np.abs(after - angle)[known] <= limit[known] + 1e-12).all()


@given(angle=angles, std=deviations)
@few
def test_a_network_that_turns_nothing_changes_nothing(angle, std):
    np.testing.assert_allclose(corrected(angle, std, np.zeros((12, 3))), angle, atol=1e-7, rtol=0)


def test_a_turn_that_is_no_number_changes_nothing():
    turn = np.full((12, 3), np.nan)
    angle, std = person(right_knee_flexion=30.0).angle, np.full(len(NAMES), 0.1)
    np.testing.assert_array_equal(corrected(angle, std, turn), angle)


def test_a_turn_about_z_is_flexion_and_stops_at_the_deviation():
    turn = np.zeros((12, 3))
    turn[GROUPS.index("left_knee"), 2] = -np.radians(10.0)
    angle = person(left_knee_flexion=-40.0).angle
    after = np.degrees(corrected(angle, np.full(len(NAMES), np.radians(30.0)), turn))
    assert after[at("left_knee_flexion")] == pytest.approx(-30.0)
    after = np.degrees(corrected(angle, np.full(len(NAMES), np.radians(3.0)), turn))
    assert after[at("left_knee_flexion")] == pytest.approx(-37.0)
    others = [row for row, name in enumerate(NAMES) if name != "left_knee_flexion"]
    np.testing.assert_allclose(after[others], 0.0, atol=1e-9)


def test_people_are_remembered_apart_and_forgotten_after_a_gap(refiner: AngleRefiner):
    bent = {"right_knee_flexion": 20.0, "std": 1.0}
    assert knee(refiner.process(image(0, person("p1", **bent)))) == pytest.approx(22.0, abs=1e-4)
    both = refiner.process(image(1, person("p2", **bent), person("p1", **bent)))
    assert [knee(both, row) for row in (0, 1)] == pytest.approx([22.0, 24.0], abs=1e-4)
    # p2 is away for one frame, which is less than the network can be told.
    assert knee(refiner.process(image(2, person("p1", **bent)))) == pytest.approx(26.0, abs=1e-4)
    assert knee(refiner.process(image(3, person("p2", **bent)))) == pytest.approx(24.0, abs=1e-4)
    # Half a second is too long.
    assert knee(refiner.process(image(19, person("p1", **bent)))) == pytest.approx(22.0, abs=1e-4)
    # Time that goes back starts anew, and so does a reset.
    assert knee(refiner.process(image(0, person("p1", **bent)))) == pytest.approx(22.0, abs=1e-4)
    refiner.reset("p1")
    assert knee(refiner.process(image(1, person("p1", **bent)))) == pytest.approx(22.0, abs=1e-4)


def test_the_network_is_told_the_time_between_frames(refiner: AngleRefiner):
    for frame in (0, 1, 3):
        refiner.process(image(frame, person()))
    assert refiner._session.steps == pytest.approx([0.0, 0.0, np.log(2.0)], abs=1e-6)


def test_what_is_not_determined_stays_so_unless_it_is_asked_for(monkeypatch, refiner: AngleRefiner):
    given = person(std=1.0)
    given.angle[ROWS[GROUPS.index("right_knee")]] = np.nan
    given.std[ROWS[GROUPS.index("right_knee")]] = np.nan
    given.flags[ROWS[GROUPS.index("right_knee")]] = AngleFlag.UNOBSERVABLE
    (after,) = refiner.process(image(0, given)).people
    np.testing.assert_array_equal(np.isnan(after.angle), np.isnan(given.angle))
    (filled,) = AngleRefiner(fill=True).process(image(0, given)).people
    assert np.degrees(filled.angle[at("right_knee_flexion")]) == pytest.approx(2.0, abs=1e-4)
    assert filled.std[at("right_knee_flexion")] == FILLED_STD
    np.testing.assert_array_equal(filled.flags, given.flags)
    np.testing.assert_array_equal(filled.std[at("left_knee_flexion")], 1.0)


def test_a_sequence_is_refined_as_its_frames_and_on_its_own(refiner: AngleRefiner):
    random = np.random.default_rng(0)
    angle = random.normal(0.0, 0.4, (6, len(NAMES)))
    angle[2] = np.nan
    flags = np.where(np.isnan(angle), np.uint8(AngleFlag.JOINT_MISSING), 0)
    stamps = NS_PER_S + FRAME * np.array([0, 1, 2, 3, 30, 31])
    sequence = AngleSequence(
        NAMES, stamps, angle, np.full(angle.shape, 0.2), flags, "p1", pelvis_sequence=SEQUENCE
    )
    refiner.process(image(0, person("p1")))
    refined, done = refiner.refine(sequence)
    again, _ = refiner.refine(sequence)
    np.testing.assert_array_equal(again.angle, refined.angle)
    assert (refined.person, refined.pelvis_sequence) == ("p1", SEQUENCE)
    assert refiner.corrections.angles == len(NAMES)
    assert done.angles == 5 * len(NAMES)
    live = AngleRefiner()
    for t, stamp in enumerate(stamps.tolist()):
        one = PersonAngles("p1", angle[t], sequence.std[t], flags[t])
        (after,) = live.process(PeopleAngles(stamp, "", NAMES, (one,), pelvis_sequence=SEQUENCE)).people
        np.testing.assert_array_equal(after.angle, refined.angle[t])
    assert live.corrections == done


def test_corrections_are_added_up(refiner: AngleRefiner):
    assert np.isnan(refiner.corrections.mean_deg)
    for frame in (0, 1):
        refiner.process(image(frame, person("p1", std=np.radians(3.0), right_knee_flexion=20.0)))
    done = refiner.corrections
    # 2 degrees, then 4 that the deviation cuts to 3; one of the three angles of the knee, one of the 42 of a person.
    assert done.by_group_deg["right_knee"] == pytest.approx(5.0 / 6.0, rel=1e-4)
    assert done.by_group_deg["left_knee"] == pytest.approx(0.0, abs=1e-6)
    assert done.mean_deg == pytest.approx(5.0 / 84.0, rel=1e-4)
    assert done.at_limit == pytest.approx(1.0 / 84.0)
    assert done.harm_deg == HARM


def test_an_empty_image_and_other_angles(refiner: AngleRefiner):
    assert refiner.process(image(0)) == image(0)
    other = PeopleAngles(NS_PER_S, "camera", NAMES[:-1], ())
    with pytest.raises(ValueError, match="left_shoulder_axial_rotation"):
        refiner.process(other)


def test_angles_must_state_the_sequence_of_the_pelvis(refiner: AngleRefiner):
    unstated = dataclasses.replace(image(0, person()), pelvis_sequence="")
    with pytest.raises(ValueError, match="set pelvis_sequence to ZXY or YXZ"):
        refiner.process(unstated)
    with pytest.raises(ValueError, match="must state in which sequence those of the pelvis are"):
        refiner.refine(dataclasses.replace(standing(), pelvis_sequence=""))


def test_a_pelvis_is_turned_in_its_own_sequence(monkeypatch: pytest.MonkeyPatch):
    """About its own Z, which is tilt alone in YXZ, where Z comes last, and some of all three in ZXY."""
    turn = np.zeros((12, 3))
    turn[GROUPS.index("pelvis"), 2] = np.radians(2.0)
    monkeypatch.setattr(angle_refiner, "_open", lambda path, changed: Turning(turn))
    given = {"pelvis_right_drop": 60.0, "std": 1.0}
    moved = {}
    for sequence in PELVIS_SEQUENCES:
        before = dataclasses.replace(image(0, person("p1", **given)), pelvis_sequence=sequence)
        after = AngleRefiner().process(before)
        assert after.pelvis_sequence == sequence
        moved[sequence] = np.degrees(after.people[0].angle - before.people[0].angle)[:3]
    np.testing.assert_allclose(moved["YXZ"], [-2.0, 0.0, 0.0], atol=1e-4)
    expected = Rotation.from_euler("X", 60.0, degrees=True) * Rotation.from_euler("Z", 2.0, degrees=True)
    tilt, drop, rotation = expected.as_euler("ZXY", degrees=True)
    np.testing.assert_allclose(moved["ZXY"], [-tilt, drop - 60.0, rotation], atol=1e-4)


def test_files_that_are_no_such_network_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="cannot be read"):
        AngleRefiner(tmp_path / "nothing.onnx")
    file = tmp_path / "other.onnx"
    file.write_bytes(b"no network")
    with pytest.raises(ValueError, match="no whole ONNX file"):
        AngleRefiner(file)


def standing(frames: int = 20, std_deg: float = 4.0) -> AngleSequence:
    """Somebody who stands, knees bent by 15 degrees, and breathes."""
    one = person("p1", np.radians(std_deg), right_knee_flexion=15.0, left_knee_flexion=15.0)
    one = dataclasses.replace(one, angle=one.angle.copy())
    for name, degrees in {
        "right_hip_flexion": 8.0,
        "left_hip_flexion": 8.0,
        "right_ankle_dorsiflexion": 7.0,
        "left_ankle_dorsiflexion": 7.0,
        "right_elbow_flexion": 25.0,
        "left_elbow_flexion": 25.0,
    }.items():
        one.angle[at(name)] = np.radians(degrees)
    angle = np.repeat(one.angle[None], frames, 0)
    angle += np.radians(0.5) * np.sin(np.arange(frames) / 10.0)[:, None]
    stamps = NS_PER_S + FRAME * np.arange(frames)
    return AngleSequence(
        names=NAMES,
        stamps=stamps,
        angle=angle,
        std=np.full(angle.shape, np.radians(std_deg)),
        flags=np.zeros(angle.shape, np.uint8),
        person="p1",
        pelvis_sequence=SEQUENCE,
    )


def test_a_knee_bent_backwards_is_moved_towards_what_knees_do():
    given = standing()
    frame, knee = 15, at("right_knee_flexion")
    given.angle[frame, knee], given.std[frame, knee] = np.radians(-40.0), np.radians(40.0)
    refined, done = AngleRefiner().refine(given)
    assert np.degrees(refined.angle[frame, knee]) > -35.0
    # Nothing else is moved by more than its own deviation, and the frames around are not drawn along.
    other = np.arange(len(NAMES)) != knee
    assert np.degrees(np.abs(refined.angle - given.angle)[:, other].max()) <= 4.0 + 1e-9
    around = np.degrees(np.abs(refined.angle - given.angle))[[frame - 1, frame + 1], knee]
    assert around.max() < 3.0
    assert 0.0 < done.mean_deg < 4.0


def test_sure_angles_are_left_alone():
    given = standing(std_deg=1.0)
    refined, done = AngleRefiner().refine(given)
    metrics = AngleRefiner().card.metrics
    assert np.degrees(np.abs(refined.angle - given.angle).max()) <= 1.0 + 1e-9
    assert done.mean_deg < 0.3
    assert done.harm_deg == metrics["harm_degrees"]
    # What is sure is harmed far less than what is said to be unsure.
    assert metrics["sure_harm_degrees"] < 0.2
    assert metrics["sure_harm_degrees"] < 0.2 * metrics["harm_degrees"]


def test_what_ships_is_small_and_for_these_angles():
    card = AngleRefiner().card
    assert SHIPPED.stat().st_size <= 1.5e6
    assert card.network == angle_refiner.NETWORK
    assert card.encoding == angle_encoding.VERSION
    assert card.metrics["degrees"] < card.metrics["input_degrees"]
