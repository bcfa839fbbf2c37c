"""The steps of the pipeline on arrays: one person, keypoints to joints in 3D to smooth joints to angles."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from lift3d_node.lifter import Lifter
from lift3d_node.params import STATED, UNKNOWN, Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_biomechanics.angles import AngleOptions, angles_of, angles_of_markers
from pose_core.angles import AngleSequence
from pose_core.config import build
from pose_core.geometry.camera import Camera
from pose_core.markers import MarkerSequence
from pose_core.people import JointState, People2D, People3D, Person2D
from pose_core.registry import suggest
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33, SKELETONS
from pose_core.types import Stamps, Track, TrackStd
from pose_core.units import NS_PER_S
from pose_tools.files.refine import of_arrays
from pose_tools.tilt import stated_tilt
from refine_node import recording
from refine_node.params import RefineParams

PERSON = "p1"
"""Id of somebody without one."""
FRAME = "camera_optical_frame"


def lift(
    keypoints: Track | PoseSequence,
    camera: Camera,
    *,
    confidence: TrackStd | None = None,
    skeleton: str = MEDIAPIPE33.name,
    rate: float | None = None,
    stamps: Stamps | None = None,
    height: float = 0.0,
    lifter: str = Lift3DParams.lifter,
    world: Track | None = None,
    camera_pitch_deg: float | None = None,
    camera_roll_deg: float | None = None,
    **params: Any,
) -> PoseSequence:
    """One person's keypoints in the images of a camera, lifted to 3D and placed before it, as the stage does it live.

    `keypoints`: (T, J, 2) raw (distorted) pixels of the joints of `skeleton`, (0, 0) the centre of the top left pixel; NaN
    where a joint is not seen, all of them where the person is not. Or a sequence in pixels, which has its own confidence,
    skeleton and stamps. `confidence`: (T, J) 0 to 1; without it, 1 for each joint that is seen. `rate`: images per second, or
    `stamps`: (T,) ns, increasing; one of them. `camera`: `Camera.from_field_of_view(width, height, degrees)` where it is not
    calibrated.

    `height`: standing height in metres; 0: not known, an adult's is assumed, and with it the scale. `lifter`: any name that
    `pose live --lifter` takes. `world`: (T, J, 3) the detector's own 3D in metres, for lifters that need it. A pitch by which
    the camera looks down and a roll by which its right side is lower, in degrees, where they are known. `params`: other fields
    of `lift3d_node.params.Lift3DParams`.

    Returns joints (T, J', 3) of the lifter's skeleton in metres, in the optical frame of the camera, with standard deviations and
    confidence; missing where the person is not seen or cannot be placed. Raises ValueError for shapes that disagree, and for what
    the lifter cannot work with.
    """
    flat = keypoints
    if not isinstance(flat, PoseSequence):
        flat = _flat(flat, confidence, skeleton, _times(len(np.asarray(flat)), rate, stamps))
    elif any(given is not None for given in (confidence, rate, stamps)):
        raise ValueError(
            "a sequence has its own confidence and stamps; leave confidence, rate and stamps out"
        )
    if flat.xyz.shape[2] != 2:
        raise ValueError("keypoints must be in pixels, (frames, joints, 2); this sequence is in 3D already")
    flat = replace(flat, person=flat.person or PERSON, frame_id=flat.frame_id or FRAME)
    tilt = stated_tilt(camera_pitch_deg, camera_roll_deg)
    pitch, roll = tilt or (0.0, 0.0)
    chosen = {"lifter": lifter, "height": height, "camera_tilt": UNKNOWN if tilt is None else STATED}
    angles = {"camera_pitch_deg": pitch, "camera_roll_deg": roll}
    stage = PeopleLifter(build(Lift3DParams, {**params, **chosen, **angles}))
    worlds = _worlds(stage.lifter, flat, world)
    if np.isnan(flat.xyz).all():
        raise ValueError("keypoints hold no joint that is seen")
    lifted = []
    for people, solid in zip(_images(flat, camera), worlds, strict=True):
        stage.check(people)
        lifted.append(stage.process(people, solid, camera))
    return PoseSequence.from_people(lifted, flat.person)


def refine(
    sequence: PoseSequence | Track,
    rate: float | None = None,
    *,
    skeleton: str = MEDIAPIPE33.name,
    stamps: Stamps | None = None,
    confidence: TrackStd | None = None,
    std: TrackStd | None = None,
    refiner: str = RefineParams.refiner,
    offline: bool = True,
    **params: Any,
) -> PoseSequence:
    """One person's joints in 3D, smoothed: with the whole recording known, or as the stage does it live.

    `sequence`: what `lift` or `read` gave, or (T, J, 3) metres of the joints of `skeleton`, NaN where one is missing. Of an
    array, `rate`: images per second, or `stamps`: (T,) ns, increasing; one of them. `confidence`: (T, J) 0 to 1, by default 1.
    `std`: (T, J) standard deviations in metres, by default 0.05, what joints lifted from one camera err by.

    `refiner`: any name that `pose refine --refiner` takes. `offline`: use the whole recording for each frame; not all refiners
    can. `params`: other fields of `refine_node.params.RefineParams`, such as `look_ahead` or `bone_lengths`.

    Returns a sequence over the same frames, skeleton and axes; frames that cannot be believed are missing. Raises ValueError for
    shapes that disagree, positions that cannot be metres, and what the refiner cannot work with.
    """
    if isinstance(sequence, PoseSequence):
        if any(given is not None for given in (rate, stamps, confidence, std)):
            raise ValueError(
                "a sequence has its own stamps, confidence and std; leave rate, stamps, confidence and std out"
            )
        solid = sequence
    else:
        arrays = {"xyz": np.asarray(sequence), "stamps": _times(len(np.asarray(sequence)), rate, stamps)}
        arrays |= {
            name: np.asarray(array)
            for name, array in (("confidence", confidence), ("std", std))
            if array is not None
        }
        solid = of_arrays("the array", arrays, skeleton, 0.0)
    if solid.xyz.shape[2] != 3:
        raise ValueError("refining needs joints in 3D, this sequence is in pixels: lift it first")
    chosen = build(RefineParams, {**params, "refiner": refiner})
    return recording.smooth(solid, chosen) if offline else recording.refine_live(solid, chosen)


def angles(
    sequence: PoseSequence | MarkerSequence,
    *,
    pelvis_sequence: str = AngleOptions.pelvis_sequence,
    camera_pitch_deg: float = 0.0,
    camera_roll_deg: float = 0.0,
    **options: Any,
) -> AngleSequence:
    """One person's joint angles (docs/angles.md) from joints in 3D or from markers.

    `sequence`: joints in metres in the optical frame of a camera that looks down by `camera_pitch_deg` and whose right side is
    lower by `camera_roll_deg`; or markers, whose Y axis points up and whose X axis points forward, so that no camera is asked
    for. `pelvis_sequence`: in which the pelvis is taken apart, YXZ (Baker) or ZXY (ISB). `options`: other fields of
    `pose_biomechanics.angles.AngleOptions`.

    Returns (T, A) radians by name, with standard deviations and flags; NaN and flagged where the joints do not determine one.
    Raises ValueError for a sequence in pixels, and for options that mean nothing.
    """
    expect_names("angles", options, [field.name for field in fields(AngleOptions)])
    chosen = AngleOptions(
        pelvis_sequence=pelvis_sequence,
        camera_pitch_deg=camera_pitch_deg,
        camera_roll_deg=camera_roll_deg,
        **options,
    )
    if isinstance(sequence, MarkerSequence):
        return angles_of_markers(sequence, chosen)
    return angles_of(sequence, chosen)


def expect_names(function: str, given: dict[str, Any], known: list[str]) -> None:
    """Raise ValueError for an option that a function does not have."""
    for name in given:
        if name not in known:
            raise ValueError(f"{function} has no option '{name}'; {suggest(name, known)}")


def _times(frames: int, rate: float | None, stamps: Stamps | None) -> np.ndarray:
    """(T,) ns. Those of a rate begin at 1 s: a stamp of 0 means, to ROS, that no time is known."""
    if (rate is None) == (stamps is None):
        raise ValueError("state either rate, in images per second, or stamps, in nanoseconds")
    if stamps is not None:
        times = np.asarray(stamps)
        if times.shape != (frames,) or times.dtype.kind not in "iu":
            raise ValueError(
                f"stamps must be {frames} whole nanoseconds, got {times.dtype} of shape {times.shape}"
            )
        return times.astype(np.int64)
    assert rate is not None
    if not 0.0 < rate < np.inf:
        raise ValueError(f"rate must be images per second, above 0, got {rate}")
    even: np.ndarray = NS_PER_S + np.rint(np.arange(frames) * (NS_PER_S / rate)).astype(np.int64)
    return even


def _flat(xy_px: Track, confidence: TrackStd | None, skeleton: str, stamps: np.ndarray) -> PoseSequence:
    xy_px = np.asarray(xy_px, float)
    joints = len(SKELETONS.get(skeleton))
    if xy_px.ndim != 3 or xy_px.shape[1:] != (joints, 2):
        raise ValueError(
            f"keypoints must have shape (frames, {joints}, 2) for skeleton '{skeleton}', got {xy_px.shape}"
        )
    given = np.ones(xy_px.shape[:2]) if confidence is None else np.asarray(confidence, float)
    if given.shape != xy_px.shape[:2]:
        raise ValueError(f"confidence must have shape {xy_px.shape[:2]} like keypoints, got {given.shape}")
    if (given < 0.0).any() or (given > 1.0).any():
        raise ValueError(f"confidence must be from 0 to 1, got {np.nanmin(given):g} to {np.nanmax(given):g}")
    seen = np.isfinite(xy_px).all(-1) & (np.nan_to_num(given) > 0.0)
    sure = np.where(seen, given, 0.0)
    return PoseSequence(
        skeleton=skeleton,
        stamps=stamps,
        xyz=np.where(seen[..., None], xy_px, np.nan),
        confidence=sure,
        std=np.full(seen.shape, np.nan),
        root_std=np.full((len(seen), 2), np.nan),
        state=_measured(seen),
        person_confidence=np.where(seen.any(1), sure.mean(1), np.nan),
        frame_id=FRAME,
        person=PERSON,
    )


def _measured(seen: np.ndarray) -> np.ndarray:
    return np.where(seen, JointState.MEASURED, JointState.MISSING).astype(np.uint8)


def _images(flat: PoseSequence, camera: Camera) -> list[People2D]:
    """Each image with the person in it, or with nobody."""
    seen = ~flat.missing
    images = []
    for t, stamp in enumerate(flat.stamps.tolist()):
        people: tuple[Person2D, ...] = ()
        if seen[t].any():
            xy_px, sure = flat.xyz[t], flat.confidence[t]
            box_px = np.concatenate([xy_px[seen[t]].min(0), xy_px[seen[t]].max(0)])
            score = float(flat.person_confidence[t])
            people = (Person2D(flat.person, score, box_px, xy_px, sure),)
        images.append(People2D(stamp, flat.frame_id, flat.skeleton, camera.width, camera.height, people))
    return images


def _worlds(lifter: Lifter, flat: PoseSequence, world: Track | None) -> list[People3D | None]:
    """The detector's own 3D of each image; None for lifters that do not look at it."""
    if not lifter.uses_world:
        return [None] * len(flat)
    if world is None:
        raise ValueError(
            f"lifter '{lifter.name}' needs the detector's own 3D; give it as world, or choose another lifter"
        )
    xyz = np.asarray(world, float)
    if xyz.shape != (*flat.xyz.shape[:2], 3):
        raise ValueError(f"world must have shape {(*flat.xyz.shape[:2], 3)}, got {xyz.shape}")
    solid = PoseSequence(
        skeleton=flat.skeleton,
        stamps=flat.stamps,
        xyz=xyz,
        confidence=np.where(np.isfinite(xyz).all(-1), flat.confidence, 0.0),
        std=np.full(xyz.shape[:2], np.nan),
        root_std=np.full((len(xyz), 3), np.nan),
        state=_measured(np.isfinite(xyz).all(-1)),
        person_confidence=flat.person_confidence,
        frame_id=flat.frame_id,
        person=flat.person,
    )
    return list(solid.to_people())
