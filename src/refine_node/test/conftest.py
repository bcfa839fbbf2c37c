"""A posed figure, its motion, and the messages that carry it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from pose_core.networks.runtime import Outputs, Session, State
from pose_core.people import JointState, People3D, Person3D, ScaleSource
from pose_core.skeleton import SKELETONS, Skeleton, mirror
from pose_core.units import NS_PER_S
from refine_node.model_card import RefinerCard
from refine_node.network_refiner import NetworkRefiner
from refine_node.params import RefineParams
from refine_node.refiner import REFINERS, Refiner

# metres about the pelvis, x right, y down, z forward, the figure faces the camera: its left is at +x
LEFT_AND_CENTRE = {
    "nose": (0.0, -0.62, -0.12),
    "left_eye_inner": (0.015, -0.65, -0.10),
    "left_eye": (0.03, -0.655, -0.095),
    "left_eye_outer": (0.045, -0.65, -0.085),
    "left_ear": (0.075, -0.64, -0.01),
    "mouth_left": (0.025, -0.585, -0.105),
    "left_shoulder": (0.18, -0.48, 0.0),
    "left_elbow": (0.30, -0.25, 0.05),
    "left_wrist": (0.36, -0.08, -0.12),
    "left_pinky": (0.38, -0.01, -0.17),
    "left_index": (0.35, 0.0, -0.19),
    "left_thumb": (0.33, -0.04, -0.17),
    "left_hip": (0.11, 0.0, 0.0),
    "left_knee": (0.13, 0.42, -0.08),
    "left_ankle": (0.14, 0.80, 0.05),
    "left_heel": (0.14, 0.86, 0.09),
    "left_foot_index": (0.16, 0.87, -0.12),
}


@dataclass(frozen=True)
class Figure:
    """A standing adult in `mediapipe33`, and people made of it."""

    skeleton: Skeleton = field(default_factory=lambda: SKELETONS.get("mediapipe33"))

    @property
    def xyz(self) -> np.ndarray:
        """(J, 3) metres about the pelvis."""
        return np.array(
            [
                LEFT_AND_CENTRE.get(joint) or np.array(LEFT_AND_CENTRE[mirror(joint)]) * (-1, 1, 1)
                for joint in self.skeleton.joints
            ],
            float,
        )

    def person(
        self,
        xyz: np.ndarray | None = None,
        id: str = "p1",
        std: float = 0.05,
        root_std: tuple[float, float, float] = (0.01, 0.01, 0.05),
        height: float = 1.75,
        scale_source: ScaleSource = ScaleSource.SUBJECT,
    ) -> Person3D:
        """A lifted person; by default the figure, 3 m before the camera. NaN joints are missing."""
        xyz = self.xyz + np.array([0.0, 0.0, 3.0]) if xyz is None else xyz
        seen = np.isfinite(xyz).all(-1)
        return Person3D(
            id=id,
            confidence=0.9,
            xyz=xyz,
            std=np.where(seen, std, np.nan),
            root_std=np.array(root_std),
            joint_confidence=np.where(seen, 0.8, 0.0),
            state=np.where(seen, JointState.LIFTED, JointState.MISSING).astype(np.uint8),
            height=height,
            height_std=0.02,
            scale_source=scale_source,
        )

    def people(self, seconds: float, *people: Person3D, frame_id: str = "camera") -> People3D:
        """A message's content at `seconds`."""
        return People3D(round(seconds * NS_PER_S), frame_id, self.skeleton.name, people)


@pytest.fixture
def figure() -> Figure:
    return Figure()


@pytest.fixture
def swapped(figure: Figure) -> Callable[[np.ndarray, str, str], np.ndarray]:
    """Positions with two joints exchanged."""

    def swap(xyz: np.ndarray, a: str, b: str) -> np.ndarray:
        order = np.arange(len(xyz))
        order[figure.skeleton.indices(a, b)] = figure.skeleton.indices(b, a)
        return xyz[order]

    return swap


class AveragingSession(Session[RefinerCard]):
    """A network that averages what it has seen of each joint: the newest frame counts half. Two frames later it still says so.

    Missing joints are held. What it is given is kept.
    """

    device = "cpu"
    failures = ()

    def __init__(self, skeleton: str, look_aheads: tuple[int, ...] = (0, 2)) -> None:
        joints = len(SKELETONS.get(skeleton))
        state = ((joints, 4),) * (look_aheads[-1] + 1)
        self.card = RefinerCard(
            network="averaging",
            config={},
            skeleton=skeleton,
            look_aheads=look_aheads,
            outputs=("xyz",),
            state=state,
        )
        self.contexts: list[float] = []

    def run(self, joints: np.ndarray, context: np.ndarray, state: State) -> tuple[Outputs, State]:
        self.contexts.append(float(context[0, 0]))
        xyz, seen, before, known = (
            joints[..., :3],
            joints[..., 4:] > 0.0,
            state[0][..., :3],
            state[0][..., 3:],
        )
        mean = np.where(seen, xyz + 0.5 * known * (before - xyz), before).astype(np.float32)
        state = [np.concatenate([mean, np.maximum(seen, known)], -1).astype(np.float32), *state[:-1]]
        return {"xyz": np.stack([state[k][..., :3] for k in self.card.look_aheads], 1)}, state


@REFINERS.register("averaging")
class Averaging(NetworkRefiner):
    """The refiner that runs it, for every skeleton."""

    network = "averaging"

    def __init__(self, params: RefineParams, skeleton: Skeleton) -> None:
        self._session = AveragingSession(skeleton.name)
        Refiner.__init__(self, params, skeleton)

    @classmethod
    def check(cls, params: RefineParams, skeleton: Skeleton | None = None) -> None:
        Refiner.check.__func__(cls, params, skeleton)
