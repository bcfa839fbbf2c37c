"""The people whom refiners get: lifted ones, filmed ones, ones with made noise, and the truth itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lift3d_node.correspondence import Correspondence
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_core.measures import metrics
from pose_core.people import JointState, People3D, ScaleSource
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33, SKELETONS, Skeleton
from pose_core.units import NS_PER_S
from pose_train.data import lifted as lifted_data
from pose_train.data import mocap, stored, synthesis
from pose_train.data.lifted import Lifted
from pose_train.data.mocap import PACKS
from pose_train.data.noise import Noise, NoiseMaker
from pose_train.data.synthesis import Synthesizer
from pose_train.studies import real_video
from pose_train.studies.real_video import EASY
from pose_train.studies.study import expect_files

RATE_HZ = 30.0
SURE = 0.005
"""Heights: the deviation that is stated for the truth."""
PLACE = np.array([0.0, 0.0, 3.0])
"""Metres before the camera, where people stand who were not lifted."""
PLACE_STD = 0.02
SCENES = ("lifted", "mediapipe", "synthetic", "clean")


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    data: Path
    """Folder of the motion capture packs."""
    lifter: Path = stored.Made.lifter
    """File of the lifter whose output is refined."""
    clips: int = 8
    """Of the first scene; those of made noise and of the truth are half as many."""
    frames: int = 420
    """Of a clip: in the second half of 14 s, whose bones are judged, most have settled."""
    seed: int = 23
    real: bool = True
    """Whether the real video is evaluated, for which the demo videos must have been fetched."""

    def __post_init__(self) -> None:
        for name, least in (("clips", 1), ("frames", 16)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        expect_files({self.data / PACKS["test"]: "--data", self.lifter: "--lifter"})


@dataclass(frozen=True)
class Take:
    """One person as a refiner gets them, and as they were (T, J, 3): metres, camera frame; NaN where unknown."""

    given: PoseSequence
    truth: np.ndarray


class Scenes:
    """The takes of each scene, made when they are first asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def takes(self, name: str) -> list[Take]:
        """Those of one of `SCENES`."""
        takes: list[Take] = getattr(self, name)
        return takes

    @cached_property
    def _skeleton(self) -> Skeleton:
        return SKELETONS.get(lifted_data.lifter_of(self._settings.lifter).lifter.skeleton_out)

    @cached_property
    def _clips(self) -> synthesis.Clips:
        settings = self._settings
        synthesizer = Synthesizer(
            [mocap.read(settings.data / PACKS["test"])],
            (self._skeleton.name,),
            synthesis.AS_CAPTURED,
            tilted=0.0,
        )
        random = np.random.default_rng(settings.seed)
        return synthesizer.clips(settings.clips, settings.frames, random, rates=(RATE_HZ,))

    @property
    def _few(self) -> int:
        return (self._settings.clips + 1) // 2

    @cached_property
    def lifted(self) -> list[Take]:
        """The test people through the whole lifting stage."""
        lifted = lifted_data.lift(self._settings.lifter, self._clips)
        return [_take(lifted, row, self._skeleton) for row in range(len(lifted.height))]

    @cached_property
    def synthetic(self) -> list[Take]:
        """The same motion with noise of `pose_train.data.noise`."""
        return self._made(Noise(clean=0.0))

    @cached_property
    def clean(self) -> list[Take]:
        """The same motion as it is, said to be sure."""
        return [
            dataclasses.replace(
                take,
                given=dataclasses.replace(
                    take.given, std=np.full_like(take.given.std, SURE * take.given.metadata["height"])
                ),
            )
            for take in self._made(Noise(clean=1.0))
        ]

    def _made(self, noise: Noise) -> list[Take]:
        clips, skeleton, some = self._clips, self._skeleton, slice(0, self._few)
        truth = metrics.root_aligned(clips.truth(skeleton.name)[some], skeleton)
        step, height = clips.step[some], clips.height[some]
        metres = height[:, None, None]
        made = NoiseMaker(skeleton, noise).clip(
            (truth / metres[..., None]).astype(np.float32),
            step,
            np.random.default_rng(self._settings.seed),
        )
        lifted = Lifted(
            xyz=made.xyz * metres[..., None] + PLACE,
            std=made.std * metres,
            root_std=np.full((*step.shape, 3), PLACE_STD),
            confidence=made.confidence,
            truth=truth + PLACE,
            step=step,
            height=height,
        )
        return [_take(lifted, row, skeleton) for row in range(len(lifted.height))]

    @cached_property
    def mediapipe(self) -> list[Take]:
        """What MediaPipe says of the person in the real video, placed as the pipeline does it, before the easy cameras."""
        video = real_video.load(1)
        return [filmed(video, camera, "mediapipe_world") for camera in EASY]


def _take(lifted: Lifted, row: int, skeleton: Skeleton) -> Take:
    """One person of several."""
    missing = np.isnan(lifted.xyz[row]).any(-1)
    nobody = missing.all(1)
    sequence = PoseSequence(
        skeleton=skeleton.name,
        stamps=NS_PER_S + np.rint(np.cumsum(lifted.step[row]) * NS_PER_S).astype(np.int64),
        xyz=lifted.xyz[row],
        confidence=np.where(missing, 0.0, lifted.confidence[row]),
        std=lifted.std[row],
        root_std=lifted.root_std[row],
        state=np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
        person_confidence=np.where(nobody, np.nan, 1.0),
        frame_id="camera",
        person="p1",
        metadata={"height": float(lifted.height[row]), "scale_source": ScaleSource.SUBJECT.name},
    )
    return Take(sequence, lifted.truth[row].astype(float))


def filmed(video: real_video.RealVideo, number: int, lifter: str) -> Take:
    """The person before one camera (1 to 4), lifted and placed, beside the triangulation."""
    reference, sightings = video.reference, video.sightings[1][number - 1]
    camera = reference.cameras[number - 1]
    stage = PeopleLifter(Lift3DParams(lifter=lifter, height=round(reference.height, 3)))
    match = Correspondence(MEDIAPIPE33.name, stage.lifter.skeleton_in)
    times = np.arange(len(sightings)) - reference.lags[number - 1]
    frames: list[People3D] = []
    for t in range(len(sightings)):
        people = stage.process(sightings.people(t, match), sightings.people_world(t), camera.camera)
        # One person is in the video; a new id would be a detection that was lost for a while.
        frames.append(
            dataclasses.replace(
                people, people=tuple(dataclasses.replace(one, id="p1") for one in people.people[:1])
            )
        )
    there = (times >= 0) & (times < len(reference.xyz))
    given = PoseSequence.from_people([frames[i] for i in np.flatnonzero(there)], "p1")
    return Take(given, camera.to_camera(reference.xyz)[times[there]])
