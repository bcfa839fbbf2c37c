"""A network as a lifter: axes, units, state per person and bad input. The network itself is played by the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lift3d_node.correspondence import Correspondence
from lift3d_node.learned import limbs, network_lifter
from lift3d_node.learned.backends import Session
from lift3d_node.learned.encoding import TAKES_UP, Encoder
from lift3d_node.learned.model_card import ModelCard
from lift3d_node.learned.network_lifter import NetworkLifter
from lift3d_node.lifter import Shape
from lift3d_node.params import Lift3DParams
from lift3d_node.placing.placement import Placement
from pose_core.conversion import conversion
from pose_core.markers import up_in_camera
from pose_core.people import JointState, People2D, Person2D
from pose_core.skeleton import COCO17, H36M17, MEDIAPIPE33
from pose_core.units import NS_PER_S

PERIOD = 40_000_000
HEIGHT = 1.75
CARD = ModelCard(
    network="played",
    config={},
    skeleton_in="mediapipe33",
    skeleton_out="mediapipe33",
    outputs=("xyz", "log_std"),
    state=((33, 3),),
)


class Played(Session):
    """Answers with what `answer` makes of joints, context and state; notes what it was asked."""

    device = "abacus"
    failures = ()

    def __init__(self, answer: Callable, card: ModelCard = CARD) -> None:
        self.card = card
        self.answer = answer
        self.asked: list[tuple] = []

    def run(self, joints, context, state):
        self.asked.append((joints, context, state))
        assert joints.dtype == context.dtype == np.float32
        return self.answer(joints, context, state)


def told(log_std: tuple[float, float] = (-3.0, -3.0)) -> Callable:
    """Answers xyz = keypoints + half of the state, and keeps the keypoints."""

    def answer(joints, context, state):
        std = np.broadcast_to(np.float32(log_std), (*joints.shape[:-1], 2))
        return {"xyz": joints + 0.5 * state[0], "log_std": std}, [joints.copy()]

    return answer


def image(persons: dict[str, Person2D], stamp: int = NS_PER_S, skeleton: str = "mediapipe33") -> People2D:
    people = tuple(replace(person, id=id) for id, person in persons.items())
    return People2D(stamp, "camera", skeleton, 1280, 960, people)


def without(person: Person2D, *, seen: list[int] | None = None, value: float = np.nan) -> Person2D:
    """`person` with all keypoints gone but those of rows `seen`."""
    xy_px, confidence = np.full((33, 2), value), np.zeros(33)
    for row in seen or []:
        xy_px[row], confidence[row] = person.xy_px[row], 0.9
    return replace(person, xy_px=xy_px, joint_confidence=confidence)


def truth_in_view(shot) -> np.ndarray:
    """What a perfect network gives: joints about the root in heights, axes of the view of their keypoints."""
    view = Encoder("mediapipe33").view(shot.camera.undistort(shot.person.xy_px), shot.person.joint_confidence)
    return (shot.xyz - shot.root) @ view.R_cam_view / HEIGHT


def perfect(*shots, log_std: tuple[float, float] = (-3.0, -3.0)) -> Played:
    xyz = np.float32(np.stack([truth_in_view(shot) for shot in shots]))
    std = np.broadcast_to(np.float32(log_std), (len(shots), 33, 2))
    return Played(lambda joints, context, state: ({"xyz": xyz, "log_std": std}, []), replace(CARD, state=()))


@pytest.mark.parametrize("root", [(0.3, 0.1, 4.0), (1.6, -0.9, 3.0), (-0.4, 0.5, 1.6)])
@pytest.mark.parametrize("gone", [(), ("left_hip", "right_hip"), MEDIAPIPE33.joints[23:]])
def test_a_perfect_network_gives_the_true_shape(root, gone, scene) -> None:
    """The axes of the view, towards the middle of the keypoints, become those towards the root, even where no hip is seen."""
    shot = scene(root)
    rows = MEDIAPIPE33.indices(*gone)
    shot.person.xy_px[rows], shot.person.joint_confidence[rows] = np.nan, 0.0
    lifter = NetworkLifter(Lift3DParams(), perfect(shot))
    (shape,) = lifter.lift(image({"p1": shot.person}), shot.camera, None)
    np.testing.assert_allclose(shape.xyz, shot.shape.xyz / HEIGHT, atol=1e-5)
    assert shape.height == 1.0
    assert (shape.state == JointState.LIFTED).all()
    assert (lifter.device, lifter.skeleton_in, lifter.skeleton_out) == (
        "abacus",
        "mediapipe33",
        "mediapipe33",
    )
    placed = Placement(Lift3DParams(), "mediapipe33", "mediapipe33").place(
        shot.person, shape, shot.camera, shot.subject
    )
    np.testing.assert_allclose(placed.person.xyz, shot.xyz, atol=1e-3)


CENTRES_CARD = replace(CARD, outputs=(*CARD.outputs, "centres", "centres_log_std"), state=())


def centres_of(shot) -> np.ndarray:
    """(17, 3) metres, camera frame: some points about the pelvis, told apart from the landmarks."""
    xyz, _ = conversion("mediapipe33", "h36m17").apply(shot.xyz, np.ones(33))
    return xyz + 0.02 * np.sin(np.arange(51.0)).reshape(17, 3) * (np.arange(17) > 0)[:, None]


def knowing_centres(shot) -> Played:
    session = perfect(shot)
    view = Encoder("mediapipe33").view(shot.camera.undistort(shot.person.xy_px), shot.person.joint_confidence)
    centres = (centres_of(shot) - shot.root) @ view.R_cam_view / HEIGHT
    played = session.answer

    def answer(*asked):
        outputs, state = played(*asked)
        log_std = np.full((1, 17, 2), np.log(0.01), np.float32)
        return {**outputs, "centres": np.float32(centres[None]), "centres_log_std": log_std}, state

    return Played(answer, replace(CENTRES_CARD, temperature=(2.0,)))


@pytest.mark.parametrize("root", [(0.3, 0.1, 4.0), (1.6, -0.9, 3.0)])
def test_centres_of_rotation_are_placed_with_the_person(root, scene) -> None:
    shot = scene(root)
    lifter = NetworkLifter(Lift3DParams(), knowing_centres(shot))
    assert lifter.skeleton_of_centres == "h36m17"
    (shape,) = lifter.lift(image({"p1": shot.person}), shot.camera, None)
    np.testing.assert_allclose(shape.centres_std, 2.0 * 0.01, rtol=1e-5)
    placement = Placement(Lift3DParams(), "mediapipe33", "mediapipe33", "h36m17")
    placed = placement.place(shot.person, shape, shot.camera, shot.subject)
    np.testing.assert_allclose(placed.centres.xyz, centres_of(shot), atol=1.5e-3)
    about = np.linalg.norm(centres_of(shot) - shot.root, axis=1)
    doubt = shot.subject.height_std / HEIGHT * about / np.sqrt(3.0)
    np.testing.assert_allclose(placed.centres.std, np.hypot(HEIGHT * 0.02, doubt), rtol=0.01)
    np.testing.assert_array_equal(placed.centres.root_std, placed.person.root_std)
    assert (placed.centres.state == JointState.LIFTED).all()
    np.testing.assert_allclose(placed.centres.joint_confidence, 0.9)


def test_centres_follow_joints_that_follow_their_keypoints(scene) -> None:
    """A knee that the shape has 10 cm too far right is drawn to its keypoint, and its centre of rotation with it."""
    shot = scene()
    (shape,) = NetworkLifter(Lift3DParams(), knowing_centres(shot)).lift(
        image({"p1": shot.person}), shot.camera, None
    )
    knee, inner = MEDIAPIPE33.index("left_knee"), H36M17.index("left_knee")
    off = np.array([0.1 / HEIGHT, 0.0, 0.0])
    xyz, centres = shape.xyz.copy(), shape.centres.copy()
    xyz[knee] += off
    centres[inner] += off
    std = np.where(np.arange(33) == knee, 0.2, shape.std)
    placement = Placement(Lift3DParams(), "mediapipe33", "mediapipe33", "h36m17")
    placed = placement.place(
        shot.person, replace(shape, xyz=xyz, centres=centres, std=std), shot.camera, shot.subject
    )
    assert np.linalg.norm(placed.person.xyz[knee] - shot.xyz[knee]) < 0.02
    assert np.linalg.norm(placed.centres.xyz[inner] - centres_of(shot)[inner]) < 0.02


def test_a_missing_centre_and_a_missing_person_are_missing(scene) -> None:
    shot = scene()
    (shape,) = NetworkLifter(Lift3DParams(), knowing_centres(shot)).lift(
        image({"p1": shot.person}), shot.camera, None
    )
    placement = Placement(Lift3DParams(), "mediapipe33", "mediapipe33", "h36m17")
    centres = shape.centres.copy()
    centres[3] = np.nan
    placed = placement.place(shot.person, replace(shape, centres=centres), shot.camera, shot.subject)
    assert np.flatnonzero(placed.centres.state == JointState.MISSING).tolist() == [3]
    assert np.isnan(placed.centres.std[3])
    for nobody in (
        placement.place(shot.person, Shape.missing(33), shot.camera, shot.subject),
        placement.place(without(shot.person), shape, shot.camera, shot.subject),
        placement.place(shot.person, replace(shape, centres=None), shot.camera, shot.subject),
    ):
        assert nobody.centres.xyz.shape == (17, 3)
        assert (nobody.centres.state == JointState.MISSING).all()
        assert np.isnan(nobody.centres.xyz).all()


def test_the_root_is_the_origin_whatever_the_network_says(scene) -> None:
    shot = scene()
    session = perfect(shot)
    xyz = truth_in_view(shot)[None] + np.float32([0.1, -0.2, 0.3])
    session.answer = lambda *asked: ({"xyz": xyz, "log_std": np.zeros((1, 33, 2), np.float32)}, [])
    (shape,) = NetworkLifter(Lift3DParams(), session).lift(image({"p1": shot.person}), shot.camera, None)
    np.testing.assert_allclose(MEDIAPIPE33.root_of(shape.xyz), 0.0, atol=1e-9)
    np.testing.assert_allclose(shape.xyz, shot.shape.xyz / HEIGHT, atol=1e-5)


def test_std_is_the_rms_of_the_axes_times_the_temperature(scene) -> None:
    shot = scene()
    session = perfect(shot, log_std=(np.log(0.02), np.log(0.05)))
    session.card = replace(session.card, temperature=(1.5,))
    (shape,) = NetworkLifter(Lift3DParams(), session).lift(image({"p1": shot.person}), shot.camera, None)
    # sqrt((0.02^2 + 0.02^2 + 0.05^2) / 3) = 0.0331662
    np.testing.assert_allclose(shape.std, 1.5 * 0.0331662, rtol=1e-5)


def test_a_network_that_tells_no_std_has_that_of_its_card(scene) -> None:
    shot = scene()
    for std, expected in (((0.04,), np.full(33, 0.04)), (tuple(0.01 + 0.001 * i for i in range(33)), None)):
        session = perfect(shot)
        session.card = replace(session.card, outputs=("xyz",), std=std)
        xyz = np.float32(truth_in_view(shot)[None])
        session.answer = lambda *asked, xyz=xyz: ({"xyz": xyz}, [])
        (shape,) = NetworkLifter(Lift3DParams(), session).lift(image({"p1": shot.person}), shot.camera, None)
        np.testing.assert_allclose(shape.std, std if expected is None else expected)


def test_confidence_is_that_of_the_keypoints(scene) -> None:
    shot = scene()
    wrist, knee = MEDIAPIPE33.indices("left_wrist", "right_knee")
    shot.person.joint_confidence[:] = 0.8
    shot.person.joint_confidence[knee] = 0.5
    shot.person.xy_px[wrist], shot.person.joint_confidence[wrist] = np.nan, 0.0
    (shape,) = NetworkLifter(Lift3DParams(), perfect(shot)).lift(
        image({"p1": shot.person}), shot.camera, None
    )
    assert shape.confidence[knee] == 0.5
    assert shape.confidence[wrist] == pytest.approx(0.25 * (31 * 0.8 + 0.5) / 32)
    assert shape.state[wrist] == JointState.LIFTED
    assert np.isfinite(shape.xyz[wrist]).all()


def test_joints_that_no_keypoint_tells_are_as_sure_as_the_rest(scene) -> None:
    """h36m17 has a spine, which is no keypoint of coco17."""
    shot = scene()
    match = Correspondence("mediapipe33", "coco17")
    xy_px, confidence = match.keypoints(shot.person.xy_px, shot.person.joint_confidence)
    card = ModelCard(
        network="played",
        config={},
        skeleton_in="coco17",
        skeleton_out="h36m17",
        outputs=("xyz",),
        std=(0.1,),
    )
    xyz = np.random.default_rng(0).normal(size=(1, 17, 3)).astype(np.float32)
    lifter = NetworkLifter(Lift3DParams(), Played(lambda *asked: ({"xyz": xyz}, []), card))
    person = replace(shot.person, xy_px=xy_px, joint_confidence=confidence)
    (shape,) = lifter.lift(image({"p1": person}, skeleton="coco17"), shot.camera, None)
    assert shape.xyz.shape == (17, 3)
    assert shape.confidence[H36M17.index("spine")] == pytest.approx(0.9)
    assert shape.confidence[H36M17.index("left_knee")] == pytest.approx(0.9)


# Frames and people


def walk(scene, frames: int, offset: float = 0.0) -> list:
    return [scene((offset + 0.05 * i, 0.1, 4.0 - 0.1 * i)) for i in range(frames)]


def test_frames_are_encoded_as_in_training(scene) -> None:
    """Frame by frame, with a lost image and one in which nothing is seen, as whole sequences are."""
    shots = walk(scene, 6)
    shots[3] = replace(shots[3], person=without(shots[3].person))
    steps = np.array([1, 1, 3, 1, 1, 2]) * PERIOD
    stamps = NS_PER_S + np.cumsum(steps)
    session = Played(told())
    lifter = NetworkLifter(Lift3DParams(), session)
    for shot, stamp in zip(shots, stamps.tolist(), strict=True):
        lifter.lift(image({"p1": shot.person}, stamp), shot.camera, None)
    xy = np.stack([shot.camera.undistort(shot.person.xy_px) for shot in shots])
    confidence = np.stack([shot.person.joint_confidence for shot in shots])
    view, context = Encoder("mediapipe33").sequence(xy, confidence, steps / NS_PER_S)
    np.testing.assert_array_equal(np.concatenate([joints for joints, _, _ in session.asked]), view.joints)
    np.testing.assert_allclose(np.concatenate([c for _, c, _ in session.asked]), context, atol=1e-6)
    assert context[2, 4] == pytest.approx(np.log(3 * PERIOD / NS_PER_S * 30.0))
    for before, (_, _, state) in zip(view.joints, session.asked[1:], strict=False):
        np.testing.assert_array_equal(state[0][0], before)
    assert not session.asked[0][2][0].any()


def test_networks_that_ask_for_it_are_told_what_points_up(scene) -> None:
    """Stated, it is that of the camera in the axes of the view; not stated, 0; and it may come and go."""
    shots = walk(scene, 3)
    session = Played(told(), replace(CARD, config={**CARD.config, TAKES_UP: True}))
    lifter = NetworkLifter(Lift3DParams(), session)
    ups = [None, up_in_camera(pitch_deg=20.0, roll_deg=5.0), None]
    for i, (shot, lifter.up) in enumerate(zip(shots, ups, strict=True)):
        lifter.lift(image({"p1": shot.person}, NS_PER_S + i * PERIOD), shot.camera, None)
    given = np.stack([context[0, -3:] for _, context, _ in session.asked])
    xy, confidence = shots[1].camera.undistort(shots[1].person.xy_px), shots[1].person.joint_confidence
    R_cam_view = Encoder("mediapipe33").view(xy, confidence).R_cam_view
    np.testing.assert_allclose(given, [np.zeros(3), ups[1] @ R_cam_view, np.zeros(3)], atol=1e-6)


def test_all_people_of_an_image_are_one_batch(scene) -> None:
    session = Played(told())
    shots = walk(scene, 3)
    NetworkLifter(Lift3DParams(), session).lift(
        image({f"p{i}": shot.person for i, shot in enumerate(shots)}), shots[0].camera, None
    )
    assert [joints.shape for joints, _, _ in session.asked] == [(3, 33, 3)]


def same(a: Shape, b: Shape) -> None:
    for name in ("xyz", "std", "confidence", "state"):
        # The network here computes each person alike in any batch, so what is left is the order of sums.
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-12, err_msg=name)


def test_a_person_does_not_depend_on_who_else_comes_and_goes(scene) -> None:
    """p1 is alone; or between others, who come, go and change their order."""
    alone, together = (
        NetworkLifter(Lift3DParams(), Played(told())),
        NetworkLifter(Lift3DParams(), Played(told())),
    )
    others = {name: walk(scene, 6, offset) for name, offset in (("a", -1.0), ("b", 1.0))}
    orders = [("p1",), ("a", "p1"), ("p1", "b", "a"), ("b", "p1"), ("a", "p1", "b"), ("p1", "a")]
    for i, (shot, order) in enumerate(zip(walk(scene, 6), orders, strict=True)):
        stamp = NS_PER_S + i * PERIOD
        (reference,) = alone.lift(image({"p1": shot.person}, stamp), shot.camera, None)
        persons = {id: (shot if id == "p1" else others[id][i]).person for id in order}
        shapes = together.lift(image(persons, stamp), shot.camera, None)
        same(shapes[order.index("p1")], reference)


def run(lifter: NetworkLifter, shot, stamp: int, id: str = "p1") -> Shape:
    return lifter.lift(image({id: shot.person}, stamp), shot.camera, None)[0]


@pytest.mark.parametrize(
    ("stamp", "kept"),
    [
        (3 * NS_PER_S, True),  # the same stamp again
        (3 * NS_PER_S + 1, True),
        (4 * NS_PER_S, True),
        (4 * NS_PER_S + 1, False),  # longer ago than forget_after
        (3 * NS_PER_S - 1, False),  # back in time
        (3 * NS_PER_S + 7200 * NS_PER_S, False),
        (0, False),
    ],
)
def test_the_past_is_kept_for_a_while_and_never_from_the_future(stamp: int, kept: bool, scene) -> None:
    session = Played(told())
    lifter = NetworkLifter(Lift3DParams(forget_after=1.0), session)
    shots = walk(scene, 2)
    run(lifter, shots[0], 3 * NS_PER_S)
    shape = run(lifter, shots[1], stamp)
    assert session.asked[1][2][0].any() == kept
    assert (session.asked[1][1][0, 1:] != 0.0).any() == kept
    assert np.isfinite(shape.xyz).all()
    if not kept:
        same(shape, run(NetworkLifter(Lift3DParams(), Played(told())), shots[1], stamp))


def test_memory_is_bounded_by_the_people_seen_lately(scene) -> None:
    lifter = NetworkLifter(Lift3DParams(forget_after=1.0), Played(told()))
    shot = scene()
    for i in range(200):
        run(lifter, shot, NS_PER_S + i * 100_000_000, f"p{i}")
    assert len(lifter._past) == 11
    lifter.lift(image({}, 60 * NS_PER_S), shot.camera, None)
    assert lifter._past == {}


@pytest.mark.parametrize("whom", ["p1", None])
def test_reset_forgets(whom: str | None, scene) -> None:
    session = Played(told())
    lifter = NetworkLifter(Lift3DParams(), session)
    shot = scene()
    people = image({"p1": shot.person, "p2": shot.person})
    lifter.lift(people, shot.camera, None)
    lifter.reset(whom)
    lifter.reset("nobody")
    lifter.lift(replace(people, stamp=NS_PER_S + PERIOD), shot.camera, None)
    state = session.asked[1][2][0]
    assert not state[0].any()
    assert state[1].any() == (whom == "p1")


# Bad input


def is_missing(shape: Shape) -> bool:
    nothing = np.isnan(shape.xyz).all() and np.isnan(shape.std).all() and np.isnan(shape.height)
    return bool(nothing and (shape.state == JointState.MISSING).all() and (shape.confidence == 0.0).all())


KNEE = MEDIAPIPE33.index("left_knee")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda person: without(person),
        lambda person: without(person, seen=[KNEE]),
        lambda person: without(person, seen=[0, 1, 2, 3]),  # of the body only the nose
        lambda person: replace(person, joint_confidence=np.zeros(33)),
        lambda person: replace(person, joint_confidence=np.full(33, np.nan)),
        lambda person: replace(person, xy_px=np.full((33, 2), np.inf)),
        lambda person: replace(person, xy_px=np.full((33, 2), 400.0)),
        lambda person: replace(person, xy_px=np.full((33, 2), 1e300)),
    ],
)
def test_who_cannot_be_seen_is_missing_and_harms_nobody(spoil, scene) -> None:
    lifter, fresh = (
        NetworkLifter(Lift3DParams(), Played(told())),
        NetworkLifter(Lift3DParams(), Played(told())),
    )
    shot = scene()
    for i in range(3):
        stamp = NS_PER_S + i * PERIOD
        bad, good = lifter.lift(
            image({"p1": spoil(shot.person), "p2": shot.person}, stamp), shot.camera, None
        )
        assert is_missing(bad)
        same(good, run(fresh, shot, stamp, "p2"))


def test_a_person_who_is_seen_again_is_lifted_again(scene) -> None:
    lifter = NetworkLifter(Lift3DParams(), Played(told()))
    shot = scene()
    assert not is_missing(run(lifter, shot, NS_PER_S))
    assert is_missing(run(lifter, replace(shot, person=without(shot.person)), NS_PER_S + PERIOD))
    assert not is_missing(run(lifter, shot, NS_PER_S + 2 * PERIOD))


@pytest.mark.parametrize("what", ["xyz", "log_std", "state"])
def test_numbers_that_are_none_do_not_stay(what: str, scene) -> None:
    """One frame goes wrong; the next is as after a start."""
    shot = scene()
    session = Played(told())
    lifter = NetworkLifter(Lift3DParams(), session)

    def broken(joints, context, state):
        outputs, after = told()(joints, context, state)
        outputs = {name: array.copy() for name, array in outputs.items()}
        (after[0] if what == "state" else outputs[what])[0] = np.nan
        return outputs, after

    session.answer = broken
    bad, good = lifter.lift(image({"p1": shot.person, "p2": shot.person}), shot.camera, None)
    assert is_missing(bad)
    assert not is_missing(good)
    session.answer = told()
    assert np.isfinite(run(lifter, shot, NS_PER_S + PERIOD).xyz).all()


def test_look_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="network 'played' looks 40 frames ahead"):
        NetworkLifter(Lift3DParams(), Played(told(), replace(CARD, look_ahead=40)))


# Networks that give directions of limbs


def test_limbs_become_joints_on_their_rays(scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the person's own proportions and true directions the solver finds the true joints."""
    shot = scene()
    match = Correspondence("mediapipe33", "coco17")
    xy_px, confidence = match.keypoints(shot.person.xy_px, shot.person.joint_confidence)
    person = replace(shot.person, xy_px=xy_px, joint_confidence=confidence)
    view = Encoder("coco17").view(shot.camera.undistort(xy_px), confidence)
    true = limbs.directions(shot.xyz @ view.R_cam_view, MEDIAPIPE33)[None].astype(np.float32)
    monkeypatch.setattr(
        network_lifter,
        "default_lengths",
        lambda height: height * limbs.lengths(shot.xyz, MEDIAPIPE33) / HEIGHT,
    )
    card = ModelCard(
        network="played",
        config={},
        skeleton_in="coco17",
        skeleton_out="coco17",
        outputs=("limbs", "toward"),
        std=(0.03,),
    )
    lifter = NetworkLifter(Lift3DParams(), Played(lambda *asked: ({"limbs": true}, []), card))
    (shape,) = lifter.lift(image({"p1": person}, skeleton="coco17"), shot.camera, None)
    expected = shot.shape.xyz[MEDIAPIPE33.indices(*COCO17.joints)] / HEIGHT
    known = shape.state == JointState.LIFTED
    assert [joint for joint, there in zip(COCO17.joints, known, strict=True) if there] == list(limbs.JOINTS)
    np.testing.assert_allclose(shape.xyz[known], expected[known], atol=1e-4)
    assert (shape.std[known] == 0.03).all()
    nobody = replace(person, xy_px=np.full((17, 2), np.nan), joint_confidence=np.zeros(17))
    assert is_missing(lifter.lift(image({"p2": nobody}, skeleton="coco17"), shot.camera, None)[0])
