"""Messages of the types of pose_core: the inverse of `pose_ros.messages.reading`, float32 bit by bit."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from pose_core.angles import PeopleAngles
from pose_core.geometry.camera import Camera
from pose_core.people import People2D, People3D, Person2D, Person3D, StageTime
from pose_core.skeleton import Skeleton
from pose_core.statements import BodyStatements, IdentityChange, RunStatement, SubjectStatements
from pose_core.units import NS_PER_S
from pose_ros.messages import names

Constructor = Callable[..., Any]
"""Makes a message of one type from some of its fields, by their names; the others are zero or empty."""

_EMPTY = np.zeros(0, np.float32)


class MessageWriter:
    """Makes messages with the constructors that it is given.

    Numbers of a sequence are handed over as `array.array` or NumPy arrays of the field's own type.
    """

    def __init__(self, constructor: Callable[[str], Constructor]) -> None:
        """`constructor`: of a message type by its name, such as pose_msgs/msg/People2D."""
        self._time = constructor(names.TIME)
        self._header = constructor(names.HEADER)
        self._people2d = constructor(names.PEOPLE2D)
        self._person2d = constructor(names.PERSON2D)
        self._people3d = constructor(names.PEOPLE3D)
        self._person3d = constructor(names.PERSON3D)
        self._joint_angles = constructor(names.JOINT_ANGLES)
        self._person_angles = constructor(names.PERSON_ANGLES)
        self._joint_state = constructor(names.JOINT_STATE)
        self._skeleton = constructor(names.SKELETON)
        self._stage_times = constructor(names.STAGE_TIMES)
        self._camera_info = constructor(names.CAMERA_INFO)
        self._identity_change = constructor(names.IDENTITY_CHANGE)
        self._run = constructor(names.RUN)
        self._subject = constructor(names.SUBJECT)
        self._subjects = constructor(names.SUBJECTS)
        self._body = constructor(names.BODY)
        self._bodies = constructor(names.BODIES)

    def stamp(self, stamp: int) -> Any:
        """Time message of nanoseconds. Raises ValueError beyond its 32 bit seconds."""
        sec, nanosec = divmod(int(stamp), NS_PER_S)
        if not -(2**31) <= sec < 2**31:
            raise ValueError(f"stamp must fit 32 bit seconds, got {stamp} ns")
        return self._time(sec=sec, nanosec=nanosec)

    def header(self, stamp: int, frame_id: str) -> Any:
        """Header of a capture time in ns and a frame."""
        return self._header(stamp=self.stamp(stamp), frame_id=frame_id)

    def people2d(self, people: People2D) -> Any:
        """People2D message of everybody in one image."""
        return self._people2d(
            header=self.header(people.stamp, people.frame_id),
            skeleton=people.skeleton,
            width=people.width,
            height=people.height,
            people=[self._flat(person) for person in people.people],
            times=self._times(people.times),
        )

    def people3d(self, people: People3D) -> Any:
        """People3D message of everybody of one image in 3D."""
        return self._people3d(
            header=self.header(people.stamp, people.frame_id),
            skeleton=people.skeleton,
            delay=float(people.delay),
            up=np.zeros(3, np.float32) if people.up is None else np.asarray(people.up, np.float32),
            people=[self._solid(person) for person in people.people],
            times=self._times(people.times),
        )

    def angles(self, people: PeopleAngles) -> Any:
        """JointAngles message of everybody's joint angles."""
        return self._joint_angles(
            header=self.header(people.stamp, people.frame_id),
            names=list(people.names),
            pelvis_sequence=people.pelvis_sequence,
            people=[
                self._person_angles(
                    id=person.id,
                    angle=_floats(person.angle),
                    std=_floats(person.std),
                    flags=_bytes(person.flags),
                )
                for person in people.people
            ],
            times=self._times(people.times),
        )

    def joint_state(self, people: PeopleAngles) -> Any:
        """JointState message of the angles that are known, of everybody: `p1/right_knee_flexion`, radians."""
        name: list[str] = []
        position: list[float] = []
        for person in people.people:
            known = np.flatnonzero(np.isfinite(person.angle)).tolist()
            name.extend([f"{person.id}/{people.names[row]}" for row in known])
            position.extend(person.angle[known].tolist())
        return self._joint_state(
            header=self.header(people.stamp, people.frame_id), name=name, position=array("d", position)
        )

    def skeleton(self, skeleton: Skeleton) -> Any:
        """Skeleton message that names the joints and bones of `skeleton`."""
        pairs = [skeleton.index(joint) for _, *pair in skeleton.virtual for joint in pair]
        return self._skeleton(
            name=skeleton.name,
            joints=list(skeleton.joints),
            root=skeleton.root,
            virtual_points=[name for name, _, _ in skeleton.virtual],
            virtual_joints=pairs,
            bone_parents=[parent for parent, _ in skeleton.bones],
            bone_children=[child for _, child in skeleton.bones],
        )

    def camera(self, camera: Camera, stamp: int, frame_id: str) -> Any:
        """CameraInfo message of a camera whose images are whole (no binning, no region of interest)."""
        matrix = camera.matrix.ravel().tolist()
        return self._camera_info(
            header=self.header(stamp, frame_id),
            width=camera.width,
            height=camera.height,
            distortion_model=camera.model,
            d=camera.distortion.tolist(),
            k=matrix,
            r=np.eye(3).ravel().tolist(),
            p=[*matrix[0:3], 0.0, *matrix[3:6], 0.0, *matrix[6:9], 0.0],
        )

    def uncalibrated(self, width: int, height: int, stamp: int, frame_id: str) -> Any:
        """CameraInfo message of a camera that nobody calibrated: K is all zero (sensor_msgs/CameraInfo)."""
        return self._camera_info(header=self.header(stamp, frame_id), width=width, height=height)

    def identity_change(self, change: IdentityChange) -> Any:
        """IdentityChange message."""
        return self._identity_change(
            header=self.header(change.stamp, change.frame_id),
            old_id=change.old_id,
            new_id=change.new_id,
            reason=int(change.reason),
            confidence=float(change.confidence),
        )

    def run(self, run: RunStatement) -> Any:
        """Run message."""
        return self._run(
            stage=run.stage,
            token=run.token,
            software=list(run.versions),
            versions=list(run.versions.values()),
            parameters=list(run.parameters),
            values=list(run.parameters.values()),
        )

    def subjects(self, stated: SubjectStatements) -> Any:
        """Subjects message."""
        return self._subjects(
            revision=stated.revision,
            subjects=[
                self._subject(person_id=one.person, height=float(one.height), mass=float(one.mass))
                for one in stated.subjects
            ],
        )

    def bodies(self, stated: BodyStatements) -> Any:
        """Bodies message."""
        return self._bodies(
            revision=stated.revision,
            skeleton=stated.skeleton,
            bodies=[
                self._body(
                    id=body.id,
                    height=float(body.height),
                    length=_floats(body.length),
                    settled=_bytes(body.settled),
                )
                for body in stated.bodies
            ],
        )

    def _flat(self, person: Person2D) -> Any:
        return self._person2d(
            id=person.id,
            parent=person.parent,
            confidence=float(person.confidence),
            box_px=np.asarray(person.box_px, np.float32),
            xy_px=_floats(person.xy_px),
            joint_confidence=_floats(person.joint_confidence),
        )

    def _solid(self, person: Person3D) -> Any:
        return self._person3d(
            id=person.id,
            parent=person.parent,
            confidence=float(person.confidence),
            xyz=_floats(person.xyz),
            std=_floats(person.std),
            covariance=_floats(_EMPTY if person.covariance is None else person.covariance),
            root_std=np.asarray(person.root_std, np.float32),
            root_velocity=np.asarray(person.root_velocity, np.float32),
            root_velocity_std=np.asarray(person.root_velocity_std, np.float32),
            joint_confidence=_floats(person.joint_confidence),
            state=_bytes(person.state),
            height=float(person.height),
            height_std=float(person.height_std),
            scale_source=int(person.scale_source),
            foot_contact=np.asarray(person.foot_contact, np.float32),
            posture=int(person.posture),
            posture_confidence=float(person.posture_confidence),
        )

    def _times(self, times: tuple[StageTime, ...]) -> Any:
        return self._stage_times(
            stage=[time.stage for time in times],
            start=array("q", [time.start for time in times]),
            end=array("q", [time.end for time in times]),
        )


def _floats(values: np.ndarray) -> array:
    """float32 values of any shape, as the one type that rclpy takes without a loop over the values."""
    return array("f", np.asarray(values, np.float32).tobytes())


def _bytes(values: np.ndarray) -> array:
    """uint8 values, so too."""
    return array("B", np.asarray(values, np.uint8).tobytes())
