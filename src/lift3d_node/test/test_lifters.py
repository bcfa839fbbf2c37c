"""What every lifter must do; a file dropped into lift3d_node's models, or into its weights, is tested by being there."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lift3d_node import models
from lift3d_node.correspondence import Correspondence
from lift3d_node.lifter import Lifter, Shape
from lift3d_node.params import Lift3DParams
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D
from pose_core.skeleton import MEDIAPIPE33, SKELETONS

PERIOD = 33_000_000
lifters = pytest.mark.parametrize("name", models.names())


def make(name: str) -> Lifter:
    return models.make(Lift3DParams(lifter=name))


@pytest.fixture
def frame(scene):
    """`frame(lifter, i, ids)`: image i of some walking people as the lifter gets it."""

    def build(lifter: Lifter, i: int, ids: tuple[str, ...] = ("p1",)) -> tuple:
        people, worlds = [], []
        match = Correspondence("mediapipe33", lifter.skeleton_in)
        for number, id in enumerate(ids):
            shot = scene((0.4 * number - 0.3 + 0.01 * i, 0.1, 4.0 + number - 0.02 * i))
            xy_px, confidence = match.keypoints(shot.person.xy_px, shot.person.joint_confidence)
            people.append(Person2D(id, 0.9, shot.person.box_px, xy_px, confidence))
            worlds.append(
                Person3D(
                    id,
                    0.9,
                    shot.shape.xyz * 0.97 + 0.2,
                    np.full(33, np.nan),
                    np.full(3, np.nan),
                    np.full(33, 0.8),
                    np.full(33, JointState.LIFTED, np.uint8),
                )
            )
        stamp = 1_000_000_000 + i * PERIOD
        size = (shot.camera.width, shot.camera.height)
        return (
            People2D(stamp, "camera", lifter.skeleton_in, *size, tuple(people)),
            shot.camera,
            People3D(stamp, "camera", "mediapipe33", tuple(worlds)) if lifter.uses_world else None,
        )

    return build


def same(a: Shape, b: Shape, tolerance: float = 1e-9) -> None:
    for name in ("xyz", "std", "confidence", "state", "height"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=tolerance, err_msg=name)


@lifters
def test_skeletons_are_known(name: str) -> None:
    lifter = make(name)
    assert {lifter.skeleton_in, lifter.skeleton_out} <= set(SKELETONS.names())
    assert lifter.device
    assert lifter.name == name


@lifters
def test_a_shape_is_complete_and_about_its_root(name: str, frame) -> None:
    lifter = make(name)
    skeleton = SKELETONS.get(lifter.skeleton_out)
    joints = len(skeleton)
    for i in range(3):
        shapes = lifter.lift(*frame(lifter, i, ("p1", "p2")))
        assert len(shapes) == 2
        for shape in shapes:
            assert shape.xyz.shape == (joints, 3)
            assert shape.std.shape == shape.confidence.shape == shape.state.shape == (joints,)
            known = shape.state != JointState.MISSING
            assert known.sum() >= 6
            assert np.isfinite(shape.xyz[known]).all()
            assert np.isnan(shape.xyz[~known]).all()
            assert (shape.std[known] > 0.0).all()
            assert ((shape.confidence[known] >= 0.0) & (shape.confidence[known] <= 1.0)).all()
            assert (shape.confidence[~known] == 0.0).all()
            assert np.abs(skeleton.root_of(shape.xyz)).max() < 0.01 * shape.height
            assert 0.8 * np.ptp(shape.xyz[known][:, 1]) < shape.height < 3.0 * np.ptp(shape.xyz[known][:, 1])
            assert shape.std[known].max() < shape.height


@lifters
def test_head_is_above_feet_and_left_is_left(name: str, frame) -> None:
    """The person faces the camera upright: y grows downwards, their left is at larger x."""
    lifter = make(name)
    skeleton = SKELETONS.get(lifter.skeleton_out)
    shape = lifter.lift(*frame(lifter, 0))[0]
    y = shape.xyz[:, 1]
    assert y[skeleton.index("left_shoulder")] < y[skeleton.index("left_hip")] < y[skeleton.index("left_knee")]
    for joint in ("shoulder", "hip"):
        left, right = skeleton.indices(f"left_{joint}", f"right_{joint}")
        assert shape.xyz[left, 0] > shape.xyz[right, 0]


@lifters
def test_people_do_not_influence_each_other(name: str, frame) -> None:
    together, alone = make(name), make(name)
    for i in range(5):
        both = together.lift(*frame(together, i, ("p1", "p2")))
        people, camera, world = frame(alone, i, ("p1", "p2"))
        people = replace(people, people=people.people[1:])
        same(both[1], alone.lift(people, camera, world)[0], 1e-6)


@lifters
def test_the_order_of_people_does_not_matter(name: str, frame) -> None:
    lifter, reverse = make(name), make(name)
    for i in range(3):
        forward = lifter.lift(*frame(lifter, i, ("p1", "p2")))
        people, camera, world = frame(reverse, i, ("p1", "p2"))
        backward = reverse.lift(replace(people, people=people.people[::-1]), camera, world)
        same(forward[0], backward[1], 1e-6)


@lifters
def test_same_images_same_bytes(name: str, frame) -> None:
    runs = []
    for _ in range(2):
        lifter = make(name)
        runs.append([lifter.lift(*frame(lifter, i))[0].xyz.tobytes() for i in range(4)])
    assert runs[0] == runs[1]


@lifters
@pytest.mark.parametrize("whom", ["p1", None])
def test_reset_forgets_one_or_all(name: str, whom: str | None, frame) -> None:
    used, kept, fresh = make(name), make(name), make(name)
    for i in range(6):
        for lifter in (used, kept):
            lifter.lift(*frame(lifter, i, ("p1", "p2")))
    used.reset(whom)
    after = used.lift(*frame(used, 6, ("p1", "p2")))
    same(after[0], fresh.lift(*frame(fresh, 6, ("p1", "p2")))[0], 1e-6)
    reference = kept if whom else make(name)
    same(after[1], reference.lift(*frame(reference, 6, ("p1", "p2")))[1], 1e-6)
    used.reset("nobody")


@lifters
def test_arguments_are_left_alone(name: str, frame) -> None:
    lifter = make(name)
    arguments = frame(lifter, 0, ("p1", "p2"))
    before = copy.deepcopy(arguments)
    lifter.lift(*arguments)
    for old, new in zip(before[0].people, arguments[0].people, strict=True):
        np.testing.assert_array_equal(old.xy_px, new.xy_px)
        np.testing.assert_array_equal(old.joint_confidence, new.joint_confidence)
    for old, new in zip(
        before[2].people if before[2] else (), arguments[2].people if arguments[2] else (), strict=True
    ):
        np.testing.assert_array_equal(old.xyz, new.xyz)


@lifters
@pytest.mark.parametrize("missing", [("left_wrist", "nose"), ("left_hip", "right_hip"), MEDIAPIPE33.joints])
def test_missing_keypoints_never_give_half_numbers(name: str, missing: tuple[str, ...], frame) -> None:
    lifter = make(name)
    skeleton = SKELETONS.get(lifter.skeleton_in)
    gone = [skeleton.index(joint) for joint in missing if joint in skeleton.joints]
    for i in range(3):
        people, camera, world = frame(lifter, i)
        for person in people.people:
            person.xy_px[gone], person.joint_confidence[gone] = np.nan, 0.0
        for person in world.people if world else ():
            person.xyz[MEDIAPIPE33.indices(*missing)] = np.nan
        shape = lifter.lift(people, camera, world)[0]
        known = shape.state != JointState.MISSING
        np.testing.assert_array_equal(np.isfinite(shape.xyz).all(1), known)
        np.testing.assert_array_equal(np.isnan(shape.xyz).all(1), ~known)


@lifters
def test_nobody_and_no_world(name: str, frame) -> None:
    lifter = make(name)
    people, camera, world = frame(lifter, 0, ("p1", "p2"))
    assert lifter.lift(replace(people, people=()), camera, replace(world, people=()) if world else None) == []
    if lifter.uses_world:
        for shape in lifter.lift(people, camera, None):
            assert (shape.state == JointState.MISSING).all()
            assert np.isnan(shape.height)


# mediapipe_world


def test_world_landmarks_are_passed_on_about_the_hips(frame) -> None:
    lifter = make("mediapipe_world")
    people, camera, world = frame(lifter, 0, ("p1", "p2"))
    world = replace(world, people=(world.people[1],))
    nobody, shape = lifter.lift(people, camera, world)
    assert (nobody.state == JointState.MISSING).all()
    given = world.people[0].xyz
    np.testing.assert_allclose(shape.xyz, given - given[MEDIAPIPE33.indices("left_hip", "right_hip")].mean(0))
    assert shape.height == pytest.approx(0.97 * 1.75)
    assert (shape.state == JointState.LIFTED).all()
    np.testing.assert_array_equal(shape.confidence, 0.8)
    std = dict(zip(MEDIAPIPE33.joints, shape.std, strict=True))
    assert (std["left_hip"], std["right_wrist"], std["left_foot_index"], std["mouth_left"]) == (
        0.025,
        0.17,
        0.135,
        0.11,
    )
    assert std["left_index"] == 0.18


# Names and files


@pytest.fixture
def shipped(tiny_onnx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with one network, `tiny_27`."""
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    tiny_onnx(tmp_path / "tiny_27.onnx")
    return tmp_path


def test_unknown_lifter_is_named_with_the_known_ones(shipped: Path) -> None:
    with pytest.raises(
        ValueError, match="unknown lifter 'mediapipe_word'; did you mean 'mediapipe_world'.*tiny_27"
    ):
        make("mediapipe_word")


def test_a_network_without_weights_says_how_to_get_them(shipped: Path) -> None:
    with pytest.raises(
        ValueError,
        match="unknown lifter 'pof_gcn'.*has to be trained first .pose train lifter --model pof_gcn",
    ):
        make("pof_gcn")


def test_weights_that_ship_are_lifters_by_their_name(shipped: Path, scene) -> None:
    assert models.names() == ["mediapipe_world", "tiny_27"]
    lifter = make("tiny_27")
    assert (lifter.name, lifter.device, lifter.uses_world) == ("tiny_27", "cpu", False)
    shot = scene()
    people = People2D(1, "camera", "mediapipe33", 1280, 960, (shot.person,))
    (shape,) = lifter.lift(people, shot.camera, None)
    assert (shape.state == JointState.LIFTED).all()


def test_a_lifter_gets_the_device_that_is_asked_for_or_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Computing(Lifter):
        skeleton_in = skeleton_out = "mediapipe33"
        takes_device = True

        def lift(self, people: People2D, camera: object, world: People3D | None) -> list[Shape]:
            return []

    monkeypatch.setitem(models.LIFTERS._entries, "computing", Computing)
    assert models.make(Lift3DParams(lifter="computing", device="cuda")).params.device == "cuda"
    with pytest.raises(ValueError, match="device cuda needs a network, and lifter 'mediapipe_world' is none"):
        models.make(Lift3DParams(lifter="mediapipe_world", device="cuda"))
    with pytest.raises(ValueError, match="backend torch needs a network, and lifter 'computing' is none"):
        models.make(Lift3DParams(lifter="computing", backend="torch"))


@pytest.mark.parametrize("named", ["streaming_tcn", "tiny"])
def test_a_file_is_a_lifter_by_its_network(named: str, shipped: Path) -> None:
    """`lifter` stays at its default, or agrees."""
    assert Lift3DParams().lifter == "streaming_tcn"
    assert models.make(Lift3DParams(lifter=named, model=str(shipped / "tiny_27.onnx"))).name == "tiny"


def test_a_file_may_be_in_the_home_folder(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(shipped))
    assert models.make(Lift3DParams(model="~/tiny_27.onnx")).name == "tiny"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"lifter": "hold", "model": "tiny_27.onnx"},
            "lifter is 'hold', but model '.*' holds network 'tiny'",
        ),
        ({"model": "none.onnx"}, "none.onnx' cannot be read"),
        ({"lifter": "tiny_27", "backend": "torch"}, "backend torch needs a checkpoint: set model"),
        ({"lifter": "tiny_27", "compile": True}, "compile needs the torch backend"),
        (
            {"lifter": "mediapipe_world", "device": "cuda"},
            "device cuda needs a network, and lifter 'mediapipe_world' is none; set device to auto",
        ),
        ({"lifter": "mediapipe_world", "backend": "onnxruntime"}, "backend onnxruntime needs a network"),
        ({"lifter": "mediapipe_world", "compile": True}, "compile True needs a network"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(params: dict, said: str, shipped: Path) -> None:
    if "model" in params:
        params = {**params, "model": str(shipped / params["model"])}
    with pytest.raises(ValueError, match=said):
        models.make(Lift3DParams(**params))
