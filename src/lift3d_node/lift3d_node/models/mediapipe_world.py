"""The detector's own 3D, passed on: the baseline that every lifter must beat.

Bazarevsky et al. 2020, "BlazePose: On-device real-time body pose tracking", with the GHUM landmarks of MediaPipe's pose
landmarker ("world landmarks": metres about the middle of the hips).

Their axes are those of the view at the person, not of the camera: the network sees only a crop. Turning a virtual camera
by 10 to 20 degrees about frames of Pose2Sim's Demo_SinglePerson turned them by a tenth of that (Theil-Sen slope 0.13 about
x, 0.08 about y). In its four views they are turned against triangulation by 3.8 degrees about x in the mean, with the person
4.4 degrees below the optical axis.
"""

from __future__ import annotations

import numpy as np

from lift3d_node.lifter import LIFTERS, Lifter, Shape
from lift3d_node.params import Lift3DParams
from lift3d_node.stature import Stature
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D, Person3D
from pose_core.skeleton import SKELETONS

# Metres along the ray, by far the worst axis: root mean square over Demo_SinglePerson, four views of 96 frames, against
# triangulation from the best three views (joints that miss a view by more than 20 pixels left out), both about the
# middle of the hips. Across the ray it is a third to three quarters of that. It hardly depends on the visibility.
STD = {
    "hip": 0.025,
    "shoulder": 0.08,
    "knee": 0.08,
    "ear": 0.11,
    "mouth": 0.11,
    "nose": 0.12,
    "eye": 0.12,
    "elbow": 0.125,
    "ankle": 0.13,
    "foot": 0.135,
    "heel": 0.15,
    "wrist": 0.17,
    "pinky": 0.18,
    "index": 0.18,
    "thumb": 0.18,
}


@LIFTERS.register("mediapipe_world")
class MediaPipeWorld(Lifter):
    """World landmarks as shapes; people without them are missing. Remembers nothing."""

    skeleton_in = "mediapipe33"
    skeleton_out = "mediapipe33"
    uses_world = True

    def __init__(self, params: Lift3DParams) -> None:
        super().__init__(params)
        self._skeleton = SKELETONS.get(self.skeleton_out)
        self._stature = Stature(self._skeleton)
        shares = self._skeleton.root_of(np.eye(len(self._skeleton)))
        self._root = np.flatnonzero(shares)
        self._root_shares = shares[self._root]
        self._std = np.array([_std(joint) for joint in self._skeleton.joints])

    def lift(self, people: People2D, camera: Camera, world: People3D | None) -> list[Shape]:
        known = {person.id: person for person in world.people} if world else {}
        return [
            self._shape(known[person.id]) if person.id in known else Shape.missing(len(self._skeleton))
            for person in people.people
        ]

    def _shape(self, person: Person3D) -> Shape:
        xyz = person.xyz - self._root_shares @ person.xyz[self._root]
        missing = np.isnan(xyz).any(1)
        return Shape(
            xyz=np.where(missing[:, None], np.nan, xyz),
            std=np.where(missing, np.nan, self._std),
            confidence=np.where(missing, 0.0, person.joint_confidence),
            state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
            height=self._stature.of(xyz),
        )


def _std(joint: str) -> float:
    """By the first part of the body that the joint's name holds: `left_foot_index` is a foot."""
    return next(STD[word] for word in joint.split("_") if word in STD)
