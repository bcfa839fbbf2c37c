"""Tables of joint angles, for docs/angles.md, from the figures of each scene."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from lift3d_node.params import Lift3DParams
from pose_biomechanics import isb
from pose_biomechanics.angles import ERRORS, AngleOptions
from pose_core.filtering.joint_errors import DEPTH_SHARE
from pose_core.skeleton import MEDIAPIPE33
from pose_train.studies import oracle, real_video
from pose_train.studies.angles.compared import CAMERA
from pose_train.studies.angles.noise import MIDDLE_MM, NOISES_MM
from pose_train.studies.angles.running import AIM_MS
from pose_train.studies.angles.settings import Settings
from pose_train.studies.oracle import MARKER_SET, kinds, pooled
from pose_train.studies.tables import markdown, number, percent
from refine_node.params import RefineParams

Figures = Mapping[str, Any]
MADE = "Made by `pose evaluate angles`"


def exact(found: Figures) -> str:
    """Whether the angles of bodies come back, and what joints do not show."""
    recovered, leaking = found["exact"], found["leaks"]
    rows = [[_title(kind), *(number(one[kind], 4) for one in recovered.values())] for kind in kinds()]
    told = []
    for leak in next(iter(leaking.values())):
        values = [one[leak] for one in leaking.values()]
        if np.nanmax(np.abs([0.0, *values])) >= oracle.LEAST_LEAK:
            cause, _, kind = leak.rpartition(": ")
            told.append([cause, _title(kind), *(number(value, 2) for value in values)])
    return (
        f"{MADE}: largest error in degrees over {oracle.BODIES} random bodies; - where it is not known.\n\n"
        f"{markdown(['angle', *map(_joints, recovered)], rows)}\n"
        f"Degrees of error for each degree of what joints do not show, with knees and elbows bent by 60° and arms raised "
        f"sideways by 45°:\n\n"
        f"{markdown(['cause', 'angle', *map(_joints, leaking)], told)}"
    )


def noise(found: Figures, about: Figures, settings: Settings) -> str:
    """What noise of joints does."""
    poses: Mapping[str, int] = about["poses"]
    sizes = [found[f"{size} mm"] for size in NOISES_MM]
    header = ["angle"]
    for size in NOISES_MM:
        header += [f"{size} mm", "stated"]
    header += ["90 % covers", "known", *(f"{name}, {MIDDLE_MM} mm" for name in poses)]
    rows = []
    for kind in kinds():
        cells = [_title(kind)]
        for one in sizes:
            cells += [number(one[kind]["error"]), number(one[kind]["stated"])]
        middle = found[f"{MIDDLE_MM} mm"][kind]
        cells += [percent(middle["covered"]), percent(middle["known"] or None)]
        rows.append([*cells, *(number(found[name][kind]["error"]) for name in poses)])
    counts = ", ".join(f"{count} {name}" for name, count in poses.items())
    return (
        f"{MADE}: root mean square error in degrees for noise of 10, 20 and 40 mm along each axis of each joint, beside "
        f"the standard deviation that comes with the angle. People of the motion capture test who hold a pose ({counts}), "
        f"each for {settings.draws} frames with new noise; `{MEDIAPIPE33.name}`, pelvis by {AngleOptions.pelvis_sequence}. "
        f"How often 90 % intervals hold, and how often an angle that the pose has stays known, is for {MIDDLE_MM} mm.\n\n"
        f"{markdown(header, rows)}"
    )


def lifted(found: Figures, settings: Settings) -> str:
    """How far off angles of lifted people are, and how far they are said to be."""
    header = [
        "angle",
        "error",
        *itertools.chain(*((f"stated, {errors}", "90 % covers") for errors in ERRORS)),
    ]
    rows = []
    for kind in kinds():
        ways = [one[kind] for one in found["covered"].values()]
        cells = [_title(kind), number(ways[0]["error"])]
        for one in ways:
            cells += [number(one["stated"]), percent(one["covered"])]
        rows.append(cells)
    joints = [
        [_title(name), *(number(value, 2) for value in both)] for name, both in found["handed_down"].items()
    ]
    return (
        f"{MADE}: root mean square error in degrees of `{Lift3DParams().lifter}` with `{RefineParams().refiner}`, live, on "
        f"{settings.clips} clips of {settings.frames} images of people of the motion capture test, seen by a simulated "
        f"detector, beside the standard deviation that comes with the angle: with errors of joints that go together, as they are "
        f"taken for `lifted` people, and as if they were `independent`. Frames in which an angle is flagged do not count.\n\n"
        f"{markdown(header, rows)}\n"
        f"Of the variance of a joint, {percent(found['depth_share'])} lie along the view ({percent(DEPTH_SHARE)} are taken). "
        f"There its error goes with that of the joint before it by\n\n"
        f"{markdown(['joint', 'correlation', 'taken'], joints)}"
    )


def opensim(found: Figures, about: Figures) -> str:
    """How far angles are from those of OpenSim."""
    names = {pooled(angle.name): angle.opensim[0] for angle in isb.ANGLES if angle.opensim}
    rows = []
    for kind in kinds():
        if kind not in next(iter(found.values())):
            continue
        cells = [
            f"`{names[kind].removesuffix('_r').removesuffix('_l')}`",
            number(found[MARKER_SET][kind]["span"]),
        ]
        for way in found.values():
            cells += [number(way[kind][name]) for name in ("mean", "without_offset", "offset")]
        rows.append(cells)
    header = ["coordinate", "moves by"]
    for name in found:
        header += [f"{name}: error", "without offset", "offset"]
    return (
        f"{MADE}: mean absolute difference in degrees from OpenSim's inverse kinematics over {about['frames']} frames of "
        f"`subject01` walking, sides together.\n\n{markdown(header, rows)}"
    )


def real(found: Figures, about: Figures) -> str:
    """How far angles of one camera are from those of four."""
    header = ["angle", "moves by"]
    for way in found:
        lifter, _, how = way.partition(", ")
        header += [f"`{lifter}` {how}", "without offset"]
    header += ["90 % covers", "known"]
    first = next(iter(found.values()))
    rows = []
    for kind in kinds():
        cells = [_title(kind), number(first[kind]["span"])]
        for ways in found.values():
            cells += [number(ways[kind]["mean"]), number(ways[kind]["without_offset"])]
        rows.append([*cells, percent(first[kind]["covered"]), percent(first[kind]["known"] or None)])
    return (
        f"{MADE}: mean absolute difference in degrees between camera {CAMERA} alone and all four, over the "
        f"{about['frames']} frames of {real_video.CLIP} at {real_video.RATE_HZ} a second, sides together; refined by "
        f"`{RefineParams().refiner}`, pelvis by {AngleOptions.pelvis_sequence}. Frames in which an angle is flagged on either "
        f"side do not count. How far an angle moves is what four cameras say; how often 90 % intervals hold, and how often there "
        f"is an angle where four cameras have one, is for the first way.\n\n{markdown(header, rows)}"
    )


def cost(found: Figures, where: str) -> str:
    """What angles cost, and on which machine."""
    rows = [
        [f"`{name}`", *(number(one[kind], 2) for kind in ("live", "least", "recorded"))]
        for name, one in found.items()
    ]
    return (
        f"Milliseconds of one core for one person in one frame, on {where} (aim: under {AIM_MS:g}):\n\n"
        f"{markdown(['joints', 'live', 'least tenth', 'recorded'], rows)}"
    )


def _joints(name: str) -> str:
    return name if name == MARKER_SET else f"`{name}`"


def _title(kind: str) -> str:
    return kind.replace("_", " ")
