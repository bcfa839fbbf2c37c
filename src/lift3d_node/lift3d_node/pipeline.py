"""All of the lifting stage but ROS: everybody of an image from 2D to metres in the camera frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lift3d_node import models
from lift3d_node.correspondence import Correspondence
from lift3d_node.params import STATED, UNKNOWN, Lift3DParams
from lift3d_node.placing.placement import Placement
from lift3d_node.placing.quality import Quality
from lift3d_node.subjects import Subjects
from pose_core.filtering.swaps import SwapRepair, exchanged, exchanged_person
from pose_core.geometry.camera import Camera
from pose_core.markers import tilt_of, up_in_camera
from pose_core.people import People2D, People3D
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S


class PeopleLifter:
    """Lifts and places people, image by image. Raises ValueError for parameters that cannot work."""

    def __init__(self, params: Lift3DParams) -> None:
        self._params = params
        self.lifter = models.make(params)
        self.tilt(params)
        if params.joint_centres and not self.lifter.skeleton_of_centres:
            raise ValueError(
                f"lifter '{params.lifter}' knows no joint centres; set joint_centres to false, or lifter to streaming_tcn"
            )
        self.subjects = Subjects(params)
        self.quality = Quality(SKELETONS.get(self.lifter.skeleton_out))
        self.centres: People3D | None = None
        """The true centres of rotation of the image processed last; None unless they are asked for."""
        self.rewinds = 0
        """How often stamps went back, after which everything was forgotten."""
        source = self.lifter.skeleton_in
        # By the skeleton of the keypoints: a place is judged by what was seen, never by what was made of that.
        self._placements = {source: self._placing(source)}
        self._matches: dict[str, Correspondence] = {}
        self.repair_swaps = params.repair_swaps
        """Whether left and right are put right; may change at any time."""
        self.swapped = 0
        """People whose left and right, of all or some joints, were exchanged so far, counted per frame."""
        self._swaps: dict[str, SwapRepair] = {}
        self._seen: dict[str, int] = {}
        self._stamp = -1

    def tilt(self, params: Lift3DParams) -> None:
        """Take from `params` what is known of the camera's tilt, from now on."""
        known = params.camera_tilt == STATED
        self.lifter.up = up_in_camera(params.camera_pitch_deg, params.camera_roll_deg) if known else None

    def tilt_in_words(self) -> str:
        """What is known of the camera's tilt."""
        if self.lifter.up is None:
            return UNKNOWN
        pitch, roll = (round(angle, 1) + 0.0 for angle in tilt_of(self.lifter.up))  # no minus before a zero
        return f"looks {pitch:.1f} degrees down, rolled by {roll:.1f}"

    def check(self, people: People2D) -> None:
        """Raise ValueError where the keypoints of `people` cannot be made those that the lifter takes."""
        wanted = self.lifter.skeleton_in
        shared = int(Correspondence(people.skeleton, wanted).known.sum())
        if shared < self._params.min_joints:
            raise ValueError(
                f"skeleton '{people.skeleton}' has {shared} joints of '{wanted}', which lifter '{self.lifter.name}' takes; "
                f"at least {self._params.min_joints} are needed: choose another lifter or detector"
            )

    def check_world(self, world: People3D) -> None:
        """Raise ValueError where `world` is not of the lifter's skeleton."""
        if world.skeleton != self.lifter.skeleton_in:
            raise ValueError(
                f"lifter '{self.lifter.name}' takes 3D of skeleton '{self.lifter.skeleton_in}', got '{world.skeleton}'"
            )

    def process(self, people: People2D, world: People3D | None, camera: Camera) -> People3D:
        """Everybody of one image, in the order of `people`; those who cannot be placed are missing.

        `people` has passed `check`, `world` is of the same image, `camera` of its size. `times` is left empty.
        """
        self._notice(people)
        people, world = self._unswapped(people, world)
        shapes = self.lifter.lift(self._translated(people), camera, world)
        placement = self._placement(people.skeleton)
        placed = [
            placement.place(person, shape, camera, self.subjects.of(person.id))
            for person, shape in zip(people.people, shapes, strict=True)
        ]
        for one in placed:
            self.quality.add(one)
        lifted = People3D(
            stamp=people.stamp,
            frame_id=people.frame_id,
            skeleton=self.lifter.skeleton_out,
            people=tuple(one.person for one in placed),
            up=self.lifter.up,
        )
        if skeleton := self.skeleton_of_centres:
            inner = tuple(one.centres for one in placed if one.centres is not None)
            self.centres = replace(lifted, skeleton=skeleton, people=inner)
        return lifted

    @property
    def skeleton_of_centres(self) -> str:
        """Skeleton of `centres`; empty where they are not asked for."""
        return self.lifter.skeleton_of_centres if self._params.joint_centres else ""

    def _placing(self, skeleton: str) -> Placement:
        """For keypoints of a skeleton. Raises ValueError as `Placement`."""
        return Placement(self._params, skeleton, self.lifter.skeleton_out, self.skeleton_of_centres)

    def reset(self, person: str = "") -> list[str]:
        """Forget what images told about `person`, or about everybody; returns whom. What was stated stays."""
        known = [person] if person else list(self._seen)
        forgotten = [id for id in known if self._seen.pop(id, None) is not None]
        for id in forgotten:
            self._swaps.pop(id, None)
        self.lifter.reset(person or None)
        return forgotten

    def known(self) -> list[str]:
        """Ids of the people seen lately."""
        return list(self._seen)

    def scales(self) -> str:
        """Where the metric scale of the people seen lately comes from."""
        subjects = {id: self.subjects.of(id) for id in self._seen}
        return (
            ", ".join(f"{id} {s.source.name.lower()} {s.height:.4g} m" for id, s in subjects.items())
            or "nobody"
        )

    def _notice(self, people: People2D) -> None:
        """Keep account of who is there; forget who is gone, and everybody where the stamp goes back."""
        if people.stamp < self._stamp:
            self.rewinds += 1
            self.reset()
        self._stamp = people.stamp
        self._seen.update({person.id: people.stamp for person in people.people})
        oldest = people.stamp - int(self._params.forget_after * NS_PER_S)
        for id in [id for id, stamp in self._seen.items() if stamp < oldest]:
            self.reset(id)

    def _unswapped(self, people: People2D, world: People3D | None) -> tuple[People2D, People3D | None]:
        """The same with left and right put right; the detector's 3D follows its keypoints."""
        if not self.repair_swaps:
            self._swaps.clear()
            return people, world
        skeleton = SKELETONS.get(people.skeleton)
        found: dict[str, np.ndarray] = {}
        repaired = []
        for person in people.people:
            repair = self._swaps.get(person.id)
            if repair is None or repair.skeleton is not skeleton:
                repair = self._swaps[person.id] = SwapRepair(skeleton)
            xy_px, swapped = repair.repair(people.stamp, person.xy_px, person.joint_confidence)
            if swapped.any():
                found[person.id] = swapped
                confidence = exchanged(person.joint_confidence, skeleton, swapped)
                person = replace(person, xy_px=xy_px, joint_confidence=confidence)
            repaired.append(person)
        if not found:
            return people, world
        self.swapped += len(found)
        if world is not None and world.skeleton == people.skeleton:
            of_world = [
                exchanged_person(person, skeleton, found[person.id]) if person.id in found else person
                for person in world.people
            ]
            world = replace(world, people=tuple(of_world))
        return replace(people, people=tuple(repaired)), world

    def _placement(self, skeleton: str) -> Placement:
        if skeleton not in self._placements:
            self._placements[skeleton] = self._placing(skeleton)
        return self._placements[skeleton]

    def _translated(self, people: People2D) -> People2D:
        """`people` in the skeleton that the lifter takes."""
        wanted = self.lifter.skeleton_in
        if people.skeleton == wanted:
            return people
        if people.skeleton not in self._matches:
            self._matches[people.skeleton] = Correspondence(people.skeleton, wanted, approximate=True)
        match = self._matches[people.skeleton]
        translated = []
        for person in people.people:
            xy_px, confidence = match.keypoints(person.xy_px, person.joint_confidence)
            translated.append(replace(person, xy_px=xy_px, joint_confidence=confidence))
        return replace(people, skeleton=wanted, people=tuple(translated))
