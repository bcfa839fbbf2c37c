"""The refinement stage as a node: lift3d/people in, refine/people and their joint angles out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pose_msgs import msg as msgs
from pose_msgs.srv import ResetPerson
from sensor_msgs.msg import JointState

from pose_core.people import People3D
from pose_core.statements import BodyOf, BodyStatements
from pose_core.statements.keeping import Author
from pose_core.statements.software import model, versions
from pose_ros import topics
from pose_ros.conversions import (
    MalformedMessage,
    angles_to_joint_state,
    angles_to_msg,
    bodies_from_msg,
    bodies_to_msg,
    people3d_from_msg,
    people3d_to_msg,
    subjects_from_msg,
)
from pose_ros.stage import Stage, now_ns, run
from refine_node.angle_stage import AngleStage
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner
from refine_node.refiners import REFINERS

UNIT, BONES = "unit", "bones"
"""Names of the faults: positions that are not in metres, and joints that contradict a person's bones."""


class RefineNode(Stage[RefineParams]):
    """Smooths everybody, holds their bones at one length, and takes their joint angles.

    `~/reset` forgets what was learnt of a person. Bone lengths that have settled are published, and taken over from the stages
    that keep them where this one starts again.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("refine", RefineParams, **node_options)

    @property
    def stated_revision(self) -> int:
        """Of what was published last of bones; 0 where nothing was."""
        return self._author.stated.revision

    def on_start(self) -> None:
        self._refiner = PeopleRefiner(self.params)
        self._skeleton = ""
        self._seen = 0
        self._angles = AngleStage(self.params)
        self._output = self.publish_on(msgs.People3D, topics.REFINED)
        self._angle_output = self.publish_on(msgs.JointAngles, topics.ANGLES)
        self._state_output = self.publish_on(JointState, topics.JOINT_STATES)
        self.listen(msgs.People3D, topics.LIFTED, self._on_people, needed="people in 3D")
        self._software = software_of(self.params)
        self.publish_run(topics.REFINED_RUN, lambda: self._software)
        self._refiner_named = self.params.refiner
        self._author: Author[BodyOf] = Author()
        self._bodies: dict[str, BodyOf] = {}
        self._bone_skeleton = ""
        self._state_bodies = self.share(msgs.Bodies, topics.BODIES, self._on_bodies)
        self.keep(msgs.Subjects, topics.SUBJECTS, lambda msg: subjects_from_msg(msg).statement)
        self.serve(ResetPerson, "~/reset", self._on_reset)
        self.health.note("refiner", self.params.refiner)

    def on_params(self, params: RefineParams) -> None:
        self._refiner.retune(params)
        self._angles.retune(params)
        if params.refiner != self._refiner_named:
            self._refiner_named, self._software = params.refiner, software_of(params)
        self.health.note("refiner", params.refiner)

    def _on_people(self, msg: msgs.People3D) -> None:
        start = now_ns()
        people = people3d_from_msg(msg)
        try:
            self._refiner.check(people)
        except ValueError as error:
            raise MalformedMessage(str(error)) from error
        refined = self._refiner.process(people)
        if people.skeleton != self._skeleton:
            self._skeleton = people.skeleton
            self.publish_skeleton(topics.REFINED_SKELETON, people.skeleton)
        self._seen = len((people if refined is None else refined).people)
        self.health.sees(people.frame_id)
        if refined is not None:  # the first frames wait for later ones
            refined = replace(refined, times=self.stamped(refined.times, start))
            self._output.publish(people3d_to_msg(refined))
            self._publish_angles(refined)
        self._tell_bodies()

    def _on_bodies(self, msg: msgs.Bodies) -> None:
        """What others keep of what had settled before this node began."""
        heard, before = bodies_from_msg(msg), self._author.stated
        news = self._author.hear(heard.statement)
        if self._author.stated is not before:
            self._bone_skeleton = self._skeleton or heard.skeleton
            self._refiner.adopt(self._author.stated.entries)
            self._bodies = self._refiner.bodies()
        if news:
            self._publish_bodies()

    def _tell_bodies(self) -> None:
        """Publish the bones of everybody where one more has settled, or somebody was forgotten."""
        bodies = self._refiner.bodies()
        if bodies == self._bodies:
            return
        ids = {**self._author.stated.entries, **bodies}
        told = {id: bodies.get(id) for id in ids if bodies.get(id) is not self._author.stated.entries.get(id)}
        self._bodies, self._bone_skeleton = bodies, self._skeleton
        if self._author.tell(told):
            self._publish_bodies()

    def _publish_bodies(self) -> None:
        self._state_bodies(bodies_to_msg(BodyStatements.of(self._author.stated, self._bone_skeleton)))

    def _publish_angles(self, people: People3D) -> None:
        if self.params.angles:
            angles = self._angles.process(people)
            self.health.note("angles corrected", self._angles.describe())
            self._angle_output.publish(angles_to_msg(angles))
            if self.params.joint_states:
                self._state_output.publish(angles_to_joint_state(angles))

    def _on_reset(self, request: ResetPerson.Request, response: ResetPerson.Response) -> ResetPerson.Response:
        forgotten = self._refiner.reset(request.person_id)
        if request.person_id and not forgotten:
            known = ", ".join(self._refiner.settled()) or "nobody"
            raise ValueError(f"person '{request.person_id}' is not known; known: {known}")
        self._angles.reset(request.person_id)
        self._tell_bodies()
        response.success, response.message = True, f"forgot {', '.join(forgotten) or 'nobody'}"
        return response

    def on_report(self) -> None:
        refiner, health = self._refiner, self.health
        health.note("people", self._seen)
        health.note_if("bridged", refiner.bridged)
        health.note_if("swaps repaired", refiner.swapped)
        health.note_if("resets", ", ".join(f"{reason} {n}" for reason, n in refiner.resets.items()))
        settled = refiner.settled()
        health.note_if("settled bones", ", ".join(f"{id} {n} of {of}" for id, (n, of) in settled.items()))
        if refiner.wrong_units:
            health.fault(UNIT, "; ".join(refiner.wrong_units.values()))
        else:
            health.clear(UNIT)
        contradictions = [f"'{id}': {', '.join(found)}" for id, found in refiner.contradictions().items()]
        if contradictions:
            remedy = "are joints swapped, or is it another person? Then call ~/reset"
            health.fault(
                BONES, f"bones do not change, but of person {'; '.join(contradictions)}; {remedy}", warn=True
            )
        else:
            health.clear(BONES)


def software_of(params: RefineParams) -> dict[str, str]:
    """Versions by name of what refines, its network by its content. Raises OSError where that cannot be read."""
    file = REFINERS.get(params.refiner).file(params)
    return versions("numpy", *(["onnxruntime"] if file else [])) | model(file)


def main() -> None:
    """What `python -m refine_node` does, once it knows what to do on a signal."""
    run(RefineNode)
