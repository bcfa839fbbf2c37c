"""The lifting stage as a node: pose2d/people (and pose2d/world) in, lift3d/people out, on demand lift3d/joint_centres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pose_msgs import msg as msgs
from pose_msgs.srv import ResetPerson, SetSubject
from sensor_msgs.msg import CameraInfo

from lift3d_node.intrinsics import Intrinsics
from lift3d_node.pairing import SIZE, Frame, Pairing
from lift3d_node.params import TF, Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_core.people import People2D, People3D
from pose_core.statements import SubjectStatements
from pose_core.statements.software import model, versions
from pose_ros import qos, topics
from pose_ros.conversions import (
    MalformedMessage,
    bodies_from_msg,
    camera_from_msg,
    people2d_from_msg,
    people3d_from_msg,
    people3d_to_msg,
    subjects_from_msg,
    subjects_to_msg,
)
from pose_ros.gravity import Gravity
from pose_ros.stage import Stage, now_ns, run

INTRINSICS, TILT = "intrinsics", "camera tilt"
"""Names of the faults: the camera's intrinsics are guessed; tf does not tell how the camera is tilted."""

WORST_JOINTS = 3
"""How many joints diagnostics name that the lifter puts farthest from where they were seen."""


class Lift3DNode(Stage[Lift3DParams]):
    """Gives everybody a metric 3D skeleton in the camera's optical frame.

    `~/set_subject` states somebody's height and mass, `~/reset` forgets what a lifter remembers of a person. What was stated
    is published, and taken over from the stages that keep it where this one starts again.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("lift3d", Lift3DParams, **node_options)

    @property
    def lifter(self) -> str:
        """Name of the lifter that runs; the node must have been configured."""
        return self._lifter.lifter.name

    @property
    def stated_revision(self) -> int:
        """Of what was published last of heights and masses; 0 where nothing was."""
        return self._lifter.subjects.author.stated.revision

    def on_start(self) -> None:
        self._lifter = PeopleLifter(self.params)
        lifter = self._lifter.lifter
        self._pairing = Pairing(lifter.uses_world)
        self._intrinsics = Intrinsics(self.params.field_of_view_deg)
        self._waiting: list[Frame] = []
        self._last_stamp = -1
        self._gravity: Gravity | None = None
        self._follow_tf(self.params)
        self.health.note("lifter", lifter.name)
        self.health.note("device", lifter.device)
        self._output = self.publish_on(msgs.People3D, topics.LIFTED)
        self.publish_skeleton(topics.LIFTED_SKELETON, lifter.skeleton_out)
        if skeleton := self._lifter.skeleton_of_centres:
            self._centres = self.publish_on(msgs.People3D, topics.CENTRES)
            self.publish_skeleton(topics.CENTRES_SKELETON, skeleton)
        self._camera_info = self.listen(CameraInfo, topics.CAMERA_INFO, self._on_camera_info, qos.IMAGES)
        if lifter.uses_world:
            self.listen(msgs.People3D, topics.WORLD, self._on_world, needed="world landmarks", at_once=True)
        self.listen(msgs.People2D, topics.PEOPLE2D, self._on_people, needed="people in 2D", at_once=True)
        software = versions("numpy", "onnxruntime") | model(lifter.file)
        self.publish_run(topics.LIFTED_RUN, lambda: software)
        self._state_subjects = self.share(msgs.Subjects, topics.SUBJECTS, self._on_subjects)
        self.keep(msgs.Bodies, topics.BODIES, lambda msg: bodies_from_msg(msg).statement)
        self.serve(SetSubject, "~/set_subject", self._on_set_subject)
        self.serve(ResetPerson, "~/reset", self._on_reset)

    def on_stop(self) -> None:
        self.health.clear(INTRINSICS)
        if self._gravity is not None:
            self._gravity.close()

    def on_params(self, params: Lift3DParams) -> None:
        self._follow_tf(params)
        self._lifter.subjects.configure(params)
        self._lifter.repair_swaps = params.repair_swaps
        self._lifter.tilt(params)

    def _follow_tf(self, params: Lift3DParams) -> None:
        """Listen to tf where it is to tell the camera's tilt. Raises ValueError where it cannot."""
        follow = params.camera_tilt == TF
        if follow and self._gravity is None:
            self._gravity = Gravity(self, params.level_frame, params.max_tf_age)
        elif not follow and self._gravity is not None:
            self._gravity.close()
            self._gravity = None
        self.health.clear(TILT)

    def _look_up(self, people: People2D) -> None:
        """Tell the lifter what tf says of the camera's tilt."""
        if self._gravity is None:
            return
        self._lifter.lifter.up = self._gravity.up(people.frame_id, people.stamp)
        if self._gravity.fault:
            self.health.fault(TILT, self._gravity.fault, warn=True)
        else:
            self.health.clear(TILT)

    # Messages of one image are brought together as they come: what counts is the newest image, not the newest message of each.

    def _on_people(self, msg: msgs.People2D) -> None:
        people = people2d_from_msg(msg)
        self._checked(self._lifter.check, people)
        self._pairing.put_people(people)
        self._hand_on()

    def _on_world(self, msg: msgs.People3D) -> None:
        world = people3d_from_msg(msg)
        self._checked(self._lifter.check_world, world)
        self._pairing.put_world(world)
        self._hand_on()

    def _checked(self, check: Callable[[Any], None], people: People2D | People3D) -> None:
        try:
            check(people)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error

    def _hand_on(self) -> None:
        for _ in range(self._pairing.take_lost()):
            self.health.drop("no world landmarks for this frame")
        for frame in self._pairing.take():
            self.hand_over(self._on_frame, frame, topics.PEOPLE2D)

    # All below is work on the newest frame.

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self._intrinsics.hear(camera_from_msg(msg))
        self._work()

    def _on_frame(self, frame: Frame) -> None:
        self._waiting.append(frame)
        self._work()

    def _work(self) -> None:
        """Process what waits, unless the camera's calibration is about to come."""
        if self._waiting and not self._waits_for_camera():
            waiting, self._waiting = self._waiting, []
            for people, world in waiting:
                self._process(people, world)

    def _waits_for_camera(self) -> bool:
        if self._intrinsics.settled or not self.count_publishers(self._camera_info.topic_name):
            return False
        # What was held is published at once, which may not be more than the topic's queue holds.
        if len(self._waiting) < SIZE:
            return True
        self._intrinsics.give_up(self._camera_info.topic_name)
        return False

    def _process(self, people: People2D, world: People3D | None) -> None:
        start = now_ns()
        if people.stamp == self._last_stamp:
            self.health.drop("the same stamp twice")
            return
        if people.stamp < self._last_stamp:
            self.get_logger().warning("stamps went back: people are lifted anew, as after a start")
        self._last_stamp = people.stamp
        self.health.sees(people.frame_id)
        camera = self._intrinsics.of(people.width, people.height)
        if self._intrinsics.fault:
            self.health.fault(INTRINSICS, self._intrinsics.fault, warn=True)
        else:
            self.health.clear(INTRINSICS)
        self._look_up(people)
        lifted = self._lifter.process(people, world, camera)
        times = self.stamped(people.times, start)
        self._output.publish(people3d_to_msg(replace(lifted, times=times)))
        if self._lifter.centres is not None:
            self._centres.publish(people3d_to_msg(replace(self._lifter.centres, times=times)))

    def _on_set_subject(
        self, request: SetSubject.Request, response: SetSubject.Response
    ) -> SetSubject.Response:
        author = self._lifter.subjects.author
        revision = author.stated.revision
        response.message = self._lifter.subjects.state(request.person_id, request.height, request.mass)
        response.success = True
        if author.stated.revision != revision:
            self._publish_subjects()
        return response

    def _on_subjects(self, msg: msgs.Subjects) -> None:
        """What others keep of what was stated before this node began."""
        if self._lifter.subjects.author.hear(subjects_from_msg(msg).statement):
            self._publish_subjects()

    def _publish_subjects(self) -> None:
        stated = self._lifter.subjects.author.stated
        self._state_subjects(subjects_to_msg(SubjectStatements.of(stated)))

    def _on_reset(self, request: ResetPerson.Request, response: ResetPerson.Response) -> ResetPerson.Response:
        known = ", ".join(self._lifter.known()) or "nobody"
        forgotten = self._lifter.reset(request.person_id)
        if request.person_id and not forgotten:
            raise ValueError(f"person '{request.person_id}' is not known; known: {known}")
        response.success, response.message = True, f"forgot {', '.join(forgotten) or 'nobody'}"
        return response

    def on_report(self) -> None:
        health, lifter = self.health, self._lifter
        health.note("intrinsics", self._intrinsics.describe())
        health.note("camera tilt", lifter.tilt_in_words())
        health.note("scale", lifter.scales())
        health.note_if("rewinds", lifter.rewinds)
        health.note_if("swaps repaired", lifter.swapped)
        quality = lifter.quality
        health.note("reprojection_p50_px", quality.median_px())
        worst = sorted(quality.joint_median_px().items(), key=lambda one: -one[1])[:WORST_JOINTS]
        health.note_if(
            "reprojection_p50_px of the worst joints", ", ".join(f"{joint} {px:.3g}" for joint, px in worst)
        )
        health.note_if(
            "not placed", ", ".join(f"{reason} {count}" for reason, count in quality.unplaced.items())
        )


def main() -> None:
    """What `python -m lift3d_node` does, once it knows what to do on a signal."""
    run(Lift3DNode)
