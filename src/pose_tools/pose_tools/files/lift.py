"""`pose lift`: one image in, the people in it in 3D out, as a NumPy array.

The array holds metres in the optical frame of the camera (x right, y down, z forward): (J, 3) of one person, or
(people, J, 3) where `--num-poses` asks for several, in the order of their ids. Joints are those of the skeleton, in its order;
one that is not known is NaN. What a lifter gives in another skeleton is converted (`pose_core.conversion`), and it says so.
"""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lift3d_node import models
from lift3d_node.intrinsics import Intrinsics
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose2d_node.detection import BadImage
from pose2d_node.detector import DETECTORS
from pose2d_node.estimator import Estimate
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import LARGEST_IMAGE, VIDEO_ORIGIN_NS
from pose_core.config import check
from pose_core.conversion import Conversion, conversion
from pose_core.files import write_whole
from pose_core.geometry.calibration import read_camera
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D, Person3D
from pose_core.reading import picture
from pose_core.skeleton import SKELETONS
from pose_core.system.exits import refusing
from pose_tools.files.painter import open_estimator
from pose_viz import overlay
from pose_viz.figures import plots
from pose_viz.params import VizParams

SKELETON = "mpi_inf28"
"""Where nobody says: that of the published command."""
PICTURES = (".png", ".jpg", ".jpeg")
"""Endings of pictures that can be written; figures are PNG."""


@dataclass(frozen=True)
class LiftJob:
    """What to lift, how, and where to put it. Raises ValueError for what cannot work, before anything is read."""

    source: Path
    out: Path
    skeleton: str = SKELETON
    pose2d: Pose2DParams = field(default_factory=Pose2DParams)
    """Its calibration is that of the camera; else an angle of view is assumed."""
    lift3d: Lift3DParams = field(default_factory=Lift3DParams)
    plot: Path | None = None
    """Figure of the image with the keypoints, and of the people in 3D."""
    pnp: Path | None = None
    """Picture of the image with the people in 3D drawn back into it from where PnP has placed them."""
    force: bool = False
    """Whether existing files are replaced."""

    def __post_init__(self) -> None:
        with refusing():
            check(self.pose2d)
            check(self.lift3d)
            SKELETONS.get(self.skeleton)
            DETECTORS.get(self.pose2d.detector)
            if not self.lift3d.model:
                models.expect_known(self.lift3d.lifter)
            if self.calibration is not None and not self.calibration.is_file():
                raise ValueError(f"there is no calibration file {self.calibration}")
        if self.source.is_dir():
            raise ValueError(
                f"{self.source} is a folder; name one image, or use pose process for a recording"
            )
        if not self.source.is_file():
            raise ValueError(f"there is no file {self.source}; name an image")
        self._expect_ending("array", self.out, (".npy",))
        if self.plot is not None:
            self._expect_ending("figure", self.plot, (".png",))
        if self.pnp is not None:
            self._expect_ending("picture", self.pnp, PICTURES)
        if len({path.resolve() for path in self.files}) < len(self.files):
            raise ValueError(f"each file needs a name of its own, got {', '.join(map(str, self.files))}")
        for path in self.files:
            self._expect_free(path)

    @property
    def calibration(self) -> Path | None:
        """File of the camera's calibration, where one is stated."""
        return Path(self.pose2d.calibration) if self.pose2d.calibration else None

    @property
    def files(self) -> list[Path]:
        """All that will be written."""
        return [path for path in (self.out, self.plot, self.pnp) if path is not None]

    @staticmethod
    def _expect_ending(what: str, path: Path, endings: tuple[str, ...]) -> None:
        if path.suffix.lower() not in endings:
            raise ValueError(f"the {what} to write must end in {' or '.join(endings)}, got '{path}'")

    def _expect_free(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise ValueError(f"there is no folder {path.parent}; make it first")
        if path.exists() and path.samefile(self.source):
            raise ValueError(f"{path} is the image that is read; name another file")
        if path.is_dir() or (path.exists() and not self.force):
            raise ValueError(f"{path} exists already; name another file, or replace it with --force")


def lift_image(job: LiftJob) -> dict[str, Any]:
    """Write the array of `job` and its pictures, each whole or not at all, the array last. Returns what there is to say.

    Raises ValueError for an image that cannot be used and one with nobody in it.
    """
    bgr = _read(job.source)
    with refusing():
        stage = PeopleLifter(job.lift3d)
        made = conversion(stage.lifter.skeleton_out, job.skeleton)
        if not made.known.any():
            raise ValueError(
                f"lifter '{stage.lifter.name}' gives joints of '{made.source.name}', none of which is in '{job.skeleton}'; "
                "choose another skeleton or lifter"
            )
        intrinsics = Intrinsics(job.lift3d.field_of_view_deg)
        if job.calibration is not None:
            intrinsics.hear(read_camera(job.calibration))
    found = _people(job, bgr)
    with refusing():
        stage.check(found.people)
        if stage.lifter.uses_world:
            stage.check_world(found.world)
    camera = intrinsics.of(found.people.width, found.people.height)
    lifted = stage.process(found.people, found.world if stage.lifter.uses_world else None, camera)
    people = replace(
        lifted, skeleton=job.skeleton, people=tuple(_converted(person, made) for person in lifted.people)
    )
    placed = [person.id for person in people.people if np.isfinite(person.xyz).any()]
    if not placed:
        raise ValueError(f"nobody in {job.source} could be lifted; is a whole person in sight?")
    array = np.stack([person.xyz for person in people.people])
    _draw(job, bgr, found.people, people, camera)
    write_whole(job.out, _npy(array[0] if job.pose2d.num_poses == 1 else array))
    missing = [joint for joint, known in zip(made.target.joints, made.known, strict=True) if not known]
    return {
        "file": str(job.out),
        "shape": list(array.shape[1:] if job.pose2d.num_poses == 1 else array.shape),
        "unit": f"metres, in the optical frame of the camera, joints of {job.skeleton}",
        "lifter": stage.lifter.name,
        "joints": _made_by(made),
        **({"joints that are not known": missing} if missing else {}),
        "camera": intrinsics.describe(),
        "people": {
            person.id: _facts(person, found.people, camera, made.target.name) for person in people.people
        },
        **({"figure": str(job.plot)} if job.plot is not None else {}),
        **({"picture": str(job.pnp)} if job.pnp is not None else {}),
        **({"camera fault": intrinsics.fault} if intrinsics.fault else {}),
    }


def _read(source: Path) -> np.ndarray:
    if source.stat().st_size > LARGEST_IMAGE:
        raise ValueError(f"{source} is larger than an image may be; pose process takes recordings")
    try:
        return picture.decode(source.read_bytes(), upright=True, used_depth=True)
    except picture.DamagedImage as error:
        raise ValueError(f"{source} cannot be lifted: {error}") from error


def _people(job: LiftJob, bgr: np.ndarray) -> Estimate:
    """Everybody in the image. Raises ValueError for nobody."""
    params = job.pose2d
    with refusing():
        opened = open_estimator(params)
    with closing(opened) as estimator:
        try:
            found = estimator.process(VIDEO_ORIGIN_NS, bgr, params.frame_id)
        except BadImage as error:
            raise ValueError(f"{job.source} cannot be lifted: {error}") from error
    if not found.people.people:
        raise ValueError(f"nobody was found in {job.source}; is a whole person in sight?")
    return found


def _converted(person: Person3D, made: Conversion) -> Person3D:
    """The person in the joints of another skeleton; their deviations are not known there."""
    if made.source is made.target:
        return person
    xyz, confidence = made.apply(person.xyz, person.joint_confidence)
    state = np.where(np.isfinite(xyz).all(-1), JointState.LIFTED, JointState.MISSING).astype(np.uint8)
    std = np.full(len(xyz), np.nan)
    return replace(person, xyz=xyz, joint_confidence=confidence, state=state, std=std, covariance=None)


def _made_by(made: Conversion) -> str:
    if made.source is made.target:
        return "as the lifter gives them"
    return f"converted from the {len(made.source)} of {made.source.name} that the lifter gives"


def _facts(person: Person3D, people: People2D, camera: Camera, skeleton: str) -> dict[str, Any]:
    seen = next(one for one in people.people if one.id == person.id)
    xy_px, _ = conversion(people.skeleton, skeleton).apply(seen.xy_px, seen.joint_confidence)
    errors = np.linalg.norm(camera.project(person.xyz) - xy_px, axis=-1)
    errors = errors[np.isfinite(errors)]
    return {
        "scale": person.scale_source.name.lower(),
        "height m": person.height,
        "reprojection px": float(np.median(errors)) if len(errors) else None,
    }


def _draw(job: LiftJob, bgr: np.ndarray, flat: People2D, people: People3D, camera: Camera) -> None:
    """Write what pictures are asked for."""
    plain = VizParams(overlay_max_size=0, overlay_times=False, overlay_legend=False)
    if job.plot is not None:
        seen = overlay.draw(bgr, flat, params=plain)
        plots.save(plots.image_figure(seen, people, title=job.source.name), job.plot)
    if job.pnp is not None:
        drawn = overlay.draw(bgr, flat, people, camera, plain)
        done, content = cv2.imencode(job.pnp.suffix, drawn)
        if not done:
            raise ValueError(f"{job.pnp} cannot hold an image of {drawn.shape[1]} x {drawn.shape[0]} pixels")
        write_whole(job.pnp, content.tobytes())


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()
