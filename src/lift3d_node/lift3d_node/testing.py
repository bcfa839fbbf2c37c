"""A person of known joints before a known camera, and the smallest lifting network: what tests of lifting start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lift3d_node.geometry import view_rotation
from lift3d_node.learned.model_card import ModelCard
from lift3d_node.lifter import Shape
from lift3d_node.subjects import Subject
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, Person2D, ScaleSource
from pose_core.skeleton import MEDIAPIPE33

HEIGHT = 1.75

# Half a person, metres about the pelvis: x to the person's left, y down, z away from the face. The chain has the lengths of
# Drillis & Contini for 1.75 m, so that the figure's own proportions imply that height.
TRUNK, THIGH, SHANK = 0.288 * HEIGHT, 0.245 * HEIGHT, 0.246 * HEIGHT
LEFT = {
    "eye_inner": (0.015, -0.72, -0.11),
    "eye": (0.03, -0.72, -0.105),
    "eye_outer": (0.045, -0.72, -0.10),
    "ear": (0.075, -0.69, -0.02),
    "shoulder": (0.17, -TRUNK, 0.0),
    "elbow": (0.25, -0.22, 0.05),
    "wrist": (0.27, 0.0, -0.05),
    "pinky": (0.29, 0.08, -0.06),
    "index": (0.26, 0.09, -0.08),
    "thumb": (0.24, 0.05, -0.08),
    "hip": (0.09, 0.0, 0.0),
    "knee": (0.09 + 0.28 * THIGH, 0.96 * THIGH, 0.0),
}
KNEE = np.array(LEFT["knee"])
LEFT["ankle"] = tuple(KNEE + SHANK * np.array([0.0, 0.96, 0.28]))
LEFT["heel"] = tuple(LEFT["ankle"] + np.array([0.0, 0.04, 0.05]))
LEFT["foot_index"] = tuple(LEFT["ankle"] + np.array([0.02, 0.05, -0.14]))


def _joint(name: str) -> np.ndarray:
    if name == "nose":
        return np.array([0.0, -0.68, -0.13])
    if name.startswith("mouth"):
        return np.array([0.025 if name.endswith("left") else -0.025, -0.64, -0.11])
    side, part = name.split("_", 1)
    return np.array(LEFT[part]) * (1.0 if side == "left" else -1.0, 1.0, 1.0)


def _figure() -> np.ndarray:
    """(33, 3) the person facing the camera, arms not quite alike so that left and right are told apart."""
    joints = np.array([_joint(name) for name in MEDIAPIPE33.joints])
    joints[MEDIAPIPE33.index("right_wrist")] += (-0.15, -0.35, -0.1)
    return joints


@dataclass(frozen=True)
class Scene:
    """What a camera sees of a person whose every joint is known."""

    camera: Camera
    xyz: np.ndarray
    """(33, 3) metres in the camera frame."""
    root: np.ndarray
    person: Person2D
    shape: Shape
    subject: Subject

    def with_pixels(self, xy_px: np.ndarray) -> Scene:
        return replace(self, person=replace(self.person, xy_px=xy_px))

    def with_shape(self, xyz: np.ndarray) -> Scene:
        return replace(self, shape=replace(self.shape, xyz=xyz))


CAMERA = Camera(
    1280,
    960,
    np.array([[900.0, 0.0, 633.0], [0.0, 905.0, 481.0], [0.0, 0.0, 1.0]]),
    np.array([-0.2, 0.05, 1e-3, -5e-4, 0.0]),
)


def make_scene(
    root: tuple[float, float, float] = (0.3, 0.1, 4.0),
    turn: np.ndarray | None = None,
    tilt: np.ndarray | None = None,
    camera: Camera = CAMERA,
    unit: float = 1.0,
    std: float = 0.05,
) -> Scene:
    """The figure with its pelvis at `root` (m), turned in itself by `turn` (3, 3).

    The shape is given in `unit` per metre, in axes wrong by `tilt` (3, 3), each joint with deviation `std` m.
    """
    shape = _figure() @ (np.eye(3) if turn is None else turn).T
    position = np.array(root)
    view = view_rotation(position / np.linalg.norm(position))
    xyz = shape @ view.T + position
    xy_px = camera.project(xyz)
    joints = len(shape)
    return Scene(
        camera=camera,
        xyz=xyz,
        root=position,
        person=Person2D("p1", 0.9, np.concatenate([xy_px.min(0), xy_px.max(0)]), xy_px, np.full(joints, 0.9)),
        shape=Shape(
            xyz=unit * shape @ (np.eye(3) if tilt is None else tilt),
            std=np.full(joints, unit * std),
            confidence=np.full(joints, 0.8),
            state=np.full(joints, JointState.LIFTED, np.uint8),
            height=unit * HEIGHT,
        ),
        subject=Subject(HEIGHT, 0.02, ScaleSource.SUBJECT),
    )


# The smallest network that has a state: it gives gain * (keypoints + half of those of the frame before).

TINY_CARD = ModelCard(
    network="tiny",
    config={"gain": 2.0},
    skeleton_in="mediapipe33",
    skeleton_out="mediapipe33",
    outputs=("xyz", "log_std"),
    state=((33, 3),),
    training="none",
    metrics={"mpjpe_mm": 400.5},
)


def write_tiny_onnx(path: Path, card: ModelCard | None = TINY_CARD, gain: float = 2.0) -> Path:
    import onnx

    onnx.save(tiny_model(card, gain), path)
    return path


def tiny_model(card: ModelCard | None, gain: float) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    def array(name: str, values: Any) -> Any:
        return numpy_helper.from_array(np.array(values, np.float32), name)

    def port(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["state_0", "half"], ["faded"]),
            helper.make_node("Add", ["joints", "faded"], ["sum"]),
            helper.make_node("Mul", ["sum", "gain"], ["xyz"]),
            helper.make_node("MatMul", ["joints", "nothing"], ["zeros"]),
            helper.make_node("Add", ["zeros", "bias"], ["log_std"]),
            helper.make_node("Identity", ["joints"], ["next_state_0"]),
        ],
        "tiny",
        [port("joints", 33, 3), port("context", 5), port("state_0", 33, 3)],
        [port("xyz", 33, 3), port("log_std", 33, 2), port("next_state_0", 33, 3)],
        [
            array("half", 0.5),
            array("gain", [gain] * 3),
            array("nothing", np.zeros((3, 2))),
            array("bias", [-3.0, -2.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        helper.set_model_props(model, {ModelCard.KEY: card.to_json()})
    return model


@pytest.fixture(scope="session")
def scene() -> Callable[..., Scene]:
    """`scene(root, turn, ...)` makes a Scene."""
    return make_scene


@pytest.fixture(scope="session")
def tiny_card() -> ModelCard:
    return TINY_CARD


@pytest.fixture(scope="session")
def tiny_onnx() -> Callable[..., Path]:
    """`tiny_onnx(path, card, gain)` writes the same network as an ONNX file."""
    return write_tiny_onnx
