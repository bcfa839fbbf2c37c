"""How far angles are from others: from those of OpenSim, and those of one camera from those of four."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np

from lift3d_node.params import Lift3DParams
from pose_biomechanics import isb
from pose_biomechanics.angles import (
    AngleOptions,
    angles_of,
    angles_of_markers,
)
from pose_core.angles import AngleFlag, AngleSequence
from pose_core.geometry.calibration import CalibratedCamera
from pose_core.markers import tilt_of
from pose_core.skeleton import MEDIAPIPE33, SKELETONS
from pose_train.studies import (
    opensim_walk,
    segment_chain,
)
from pose_train.studies.angles.noise import NINE_TENTHS, sequence_of
from pose_train.studies.oracle import MARKER_SET, degrees, pooled, wrapped
from pose_train.studies.real_video import RealVideo
from pose_train.studies.refiners.scenes import filmed
from refine_node import recording
from refine_node.params import RefineParams

Degrees = Mapping[str, np.ndarray]
"""(...) by the names of angles."""
CAMERA = 1
"""The one that is to do alone what four do together."""
BASELINE = "mediapipe_world"


@dataclass(frozen=True)
class Apart:
    """How far two estimates of one angle are from each other over a recording, degrees."""

    mean: float
    """Of the absolute difference."""
    without_offset: float
    """The same after taking the mean difference off, on each side of the body by itself."""
    known: float
    """Share of frames in which there is an estimate of those in which there is a reference."""
    offset: float
    """Mean difference; mean of the sides."""
    span: float
    """From the smallest to the largest value of the second; mean of the sides."""
    covered: float = math.nan
    """Share of differences within what the standard deviations of the first say holds 90 %."""


def apart(ours: Degrees, theirs: Degrees, stated: Degrees | None = None) -> dict[str, Apart]:
    """By kind of angle, both sides together: `ours` (with `stated` deviations) against `theirs` (T,), by the same names."""
    sides: dict[str, list[Apart]] = {}
    for name, reference in theirs.items():
        sides.setdefault(pooled(name), []).append(
            _apart(ours[name], reference, None if stated is None else stated[name])
        )
    found = {}
    for kind, ones in sides.items():
        there = [one for one in ones if one.known > 0.0] or ones
        found[kind] = Apart(*np.mean([astuple(one) for one in there], 0).tolist())
    return found


def _apart(ours: np.ndarray, theirs: np.ndarray, stated: np.ndarray | None) -> Apart:
    """The same of one angle (T,)."""
    difference = wrapped(ours - theirs)
    there = np.isfinite(difference)
    difference = difference[there]
    if not len(difference):
        return Apart(math.nan, math.nan, 0.0, math.nan, math.nan)
    # The mean of angles, so that differences about half a turn have one.
    offset = float(np.degrees(np.angle(np.exp(1j * np.radians(difference)).mean())))
    return Apart(
        mean=float(np.abs(difference).mean()),
        without_offset=float(np.abs(wrapped(difference - offset)).mean()),
        known=len(difference) / int(np.isfinite(theirs).sum()),
        offset=offset,
        span=float(np.nanmax(theirs) - np.nanmin(theirs)),
        covered=math.nan
        if stated is None
        else float((np.abs(difference) <= NINE_TENTHS * stated[there]).mean()),
    )


def walked(walk: opensim_walk.Walk) -> tuple[dict[str, Degrees], Degrees]:
    """Our angles from markers and from joints alone, and OpenSim's, all with OpenSim's signs; by our names."""
    joints = SKELETONS.get("pose2sim22")
    names = {point: name for name, point in segment_chain.MARKERS.items()}
    points = [names.get(joint, names.get("head_top") if joint == "head" else None) for joint in joints.joints]
    xyz = np.stack(
        [
            walk.markers.of(name) if name in walk.markers.names else np.full((len(walk.markers), 3), np.nan)
            for name in map(str, points)
        ],
        1,
    )
    sequence = sequence_of(segment_chain.in_camera(xyz), walk.markers.stamps, joints.name)
    options = AngleOptions(pelvis_sequence=isb.OPENSIM_PELVIS_SEQUENCE)
    found = {
        MARKER_SET: degrees(angles_of_markers(walk.markers, options)),
        "joints": degrees(angles_of(sequence, options)),
    }
    ours: dict[str, Degrees] = {way: {} for way in found}
    theirs = {}
    for angle in isb.ANGLES:
        if angle.opensim is None or angle.opensim[0] not in walk.degrees:
            continue
        coordinate, factor = angle.opensim
        theirs[angle.name] = walk.degrees[coordinate]
        for way, values in found.items():
            ours[way] = {**ours[way], angle.name: factor * values[angle.name]}
    return ours, theirs


def levelled(camera: CalibratedCamera) -> AngleOptions:
    """Options that level the frame of a calibrated camera, whose world has z up."""
    return AngleOptions.tilted(*tilt_of(camera.up))


def trusted(sequence: AngleSequence) -> dict[str, np.ndarray]:
    """(T,) degrees by name; NaN wherever a flag is set."""
    sure = np.where(sequence.flags == AngleFlag.VALID, sequence.angle, np.nan)
    return dict(zip(sequence.names, np.degrees(sure).T, strict=True))


def one_camera(video: RealVideo, camera: int = CAMERA) -> dict[str, dict[str, Apart]]:
    """By lifter and way of refining: angles of one camera against those of four."""
    options = levelled(video.reference.cameras[camera - 1])
    found = {}
    for lifter in (Lift3DParams().lifter, BASELINE):
        take = filmed(video, camera, lifter)
        given, truth = take.given, sequence_of(take.truth, take.given.stamps, MEDIAPIPE33.name)
        theirs = trusted(angles_of(truth, options))
        for way, refine in (("live", recording.refine_live), ("offline", recording.smooth)):
            angles = angles_of(refine(given, RefineParams()), options)
            stated = dict(zip(angles.names, np.degrees(angles.std).T, strict=True))
            found[f"{lifter}, {way}"] = apart(trusted(angles), theirs, stated)
    return found
