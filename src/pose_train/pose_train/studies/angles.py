"""`pose evaluate angles`: how far joint angles can be trusted; for docs/angles.md.

Whether the angles of a body that is known come back, and what joints alone cannot tell of it (`oracle`); what noise of joints
does to angles (`noise`); how far off those of lifted people are, and how far they are said to be (`lifted`); how far they are
from those of OpenSim's inverse kinematics (`opensim`); how far those of one camera are from those of four (`real`); and what they
cost.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node.params import Lift3DParams
from lift3d_node.stature import Stature
from pose_biomechanics import isb
from pose_biomechanics.angles import (
    ERRORS,
    INDEPENDENT,
    AngleOptions,
    AngleSolver,
    angles_of,
    angles_of_markers,
)
from pose_core.angles import AngleFlag, AngleSequence
from pose_core.callbacks import Progress, Say
from pose_core.files import write_whole
from pose_core.filtering.joint_errors import DEPTH_SHARE, JointErrors
from pose_core.geometry.calibration import CalibratedCamera
from pose_core.geometry.rotations import matrix_of_quaternion
from pose_core.markers import tilt_of
from pose_core.measures import metrics
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33, SKELETONS, without_side
from pose_train.data import mocap
from pose_train.data.landmarks import REFERENCE_HEIGHT, Landmarks
from pose_train.data.mocap import PACKS
from pose_train.studies import (
    opensim_walk,
    real_video,
    segment_chain,
    tables,
)
from pose_train.studies import (
    oracle as angle_oracle,
)
from pose_train.studies import (
    refiners as refiner_evaluate,
)
from pose_train.studies.lifters import machine, write_document
from pose_train.studies.oracle import MARKER_SET, SKELETONS_KNOWN, degrees, kinds, pooled, wrapped
from pose_train.studies.real_video import RealVideo
from pose_train.studies.refiners import Scenes, Take, filmed
from pose_train.studies.segment_chain import PLAIN
from refine_node import recording
from refine_node.params import RefineParams

Degrees = Mapping[str, np.ndarray]
"""(...) by the names of angles."""

COMMAND = "pose evaluate angles"

NOISES_MM = (10, 20, 40)
"""Standard deviations along each axis."""
MIDDLE_MM = 20
"""The one that activities are compared at."""
LEAST_KNOWN = 0.2
"""Share of draws below which an angle is not judged."""
NINE_TENTHS = 1.6449
"""Standard deviations either side of a normal distribution's mean that hold 90 % of it."""

UPRIGHT_DEG, SEATED_THIGH_DEG = 20.0, 35.0
STRAIGHT_KNEE_DEG, SEATED_KNEE_DEG = 20.0, (60.0, 130.0)
STILL, WALKING = 0.15, (0.8, 2.0)
"""Metres per second of the pelvis over the floor."""
SPEED_OVER = 0.5
"""Seconds."""

CAMERA = 1
"""The one that is to do alone what four do together."""
REFERENCE_STD = 0.01
"""Metres; said of joints from four views, and of OpenSim's markers."""
BASELINE = "mediapipe_world"
REPEATED = AngleOptions(errors=INDEPENDENT)
"""Of noise that is drawn anew for each joint and frame."""
AIM_MS = 0.3


@dataclass(frozen=True)
class Settings:
    """How much is measured."""

    data: Path
    """Folder of the motion capture packs, and of `opensim` in it."""
    poses: int = 40
    """Of each activity."""
    draws: int = 25
    """Of noise on each pose."""
    seed: int = 31
    clips: int = 60
    """Of people of the motion capture test, seen by a simulated detector and lifted."""
    frames: int = 90
    """Of each clip."""
    real: bool = True
    """Whether the real video is evaluated, for which the demo videos must have been fetched."""

    def __post_init__(self) -> None:
        for name in ("poses", "draws", "clips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for file in (PACKS["test"], f"opensim/{opensim_walk.MODEL}"):
            if not (self.data / file).is_file():
                raise ValueError(f"there is no file {self.data / file}; say with --data where the data is")


@dataclass(frozen=True)
class Noisy:
    """What noise of one size does to one angle, degrees; NaN where it is hardly ever known."""

    error: float
    """Root mean square."""
    stated: float
    """The same of the standard deviations that come with the angles."""
    covered: float
    """Share of errors within what these say holds 90 %."""
    known: float
    """Share of draws with a value among those whose true angle has one."""


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


def evaluate_angles(
    settings: Settings, out: Path, document: Path, progress: Progress, say: Say
) -> dict[str, Any]:
    """Measure all, rewrite the tables of `document`, and leave the figures in `out`/angles.json; they are returned as well."""
    parts: dict[str, str] = {}
    figures: dict[str, Any] = {}
    jobs: list[tuple[str, Callable[[], tuple[str, dict[str, Any]]]]] = [
        ("oracle", lambda: _oracle(settings)),
        ("noise", lambda: _noise(settings)),
        ("lifted", lambda: _lifted(settings)),
        ("opensim", lambda: _opensim(settings)),
    ]
    if settings.real:
        jobs.append(("real", lambda: _real(settings)))
    for number, (name, job) in enumerate(jobs):
        progress(number, len(jobs))
        parts[name], figures[name] = job()
        say(f"{name}: done")
    spent = costs()
    figures["cost_ms"] = {skeleton: asdict(one) for skeleton, one in spent.items()}
    parts["oracle"] += f"\n{cost_table(spent)}"
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "angles.json", (json.dumps(_without_nan(figures), indent=1) + "\n").encode())
    write_document(document, parts)
    progress(len(jobs), len(jobs))
    say(f"wrote {document}")
    return figures


def _oracle(settings: Settings) -> tuple[str, dict[str, Any]]:
    seen = (MARKER_SET, *SKELETONS_KNOWN)
    exact = {
        one: angle_oracle.recovery(one, PLAIN, {} if one == MARKER_SET else angle_oracle.BENT, settings.seed)
        for one in seen
    }
    rows = [[_title(kind), *(tables.number(exact[one][kind], 4) for one in seen)] for kind in kinds()]
    leaking = {one: angle_oracle.leaks(one) for one in (MARKER_SET, "pose2sim22", "mediapipe33")}
    told = []
    for cause, kind in next(iter(leaking.values())):
        values = [found[cause, kind] for found in leaking.values()]
        if np.nanmax(np.abs([0.0, *values])) >= angle_oracle.LEAST_LEAK:
            told.append([cause, _title(kind), *(tables.number(value, 2) for value in values)])
    text = (
        f"{_made()}: largest error in degrees over {angle_oracle.BODIES} random bodies; - where it is not known.\n\n"
        f"{tables.markdown(['angle', *(f'`{one}`' if one != MARKER_SET else one for one in seen)], rows)}\n"
        f"Degrees of error for each degree of what joints do not show, with knees and elbows bent by 60° and arms raised "
        f"sideways by 45°:\n\n"
        f"{tables.markdown(['cause', 'angle', *(f'`{one}`' if one != MARKER_SET else one for one in leaking)], told)}"
    )
    named = {
        one: {f"{cause}: {kind}": value for (cause, kind), value in found.items()}
        for one, found in leaking.items()
    }
    return text, {"exact": exact, "leaks": named}


def activities(pack: mocap.Pack, count: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """(count, 33, 3) poses of people who stand, walk and sit, before a level camera; fewer where there are no more.

    Chosen from all frames by the speed of the pelvis, and by how trunk, thighs and knees are held.
    """
    place = Landmarks(MEDIAPIPE33.name)
    stature = Stature(MEDIAPIPE33)
    frames: dict[str, list[np.ndarray]] = {"standing": [], "walking": [], "sitting": []}
    for motion in pack.motions:
        rotations = matrix_of_quaternion(np.roll(motion.quaternions, -1, -1)).astype(np.float32)
        xyz = motion.xyz.astype(np.float32)
        ones = np.ones(len(xyz), np.float32)
        height = float(
            np.median([stature.of(one) for one in place.of(xyz[::30], rotations[::30], ones[::30])])
        )
        points = place.of(xyz, rotations, ones * np.float32(height / REFERENCE_HEIGHT)).astype(float)
        for name, rows in _doing(points, pack.fps).items():
            frames[name].extend(points[rows])
    # World (y up) to a camera that looks along world -z.
    level = np.diag([1.0, -1.0, -1.0])
    found = {}
    for name, poses in frames.items():
        chosen = random.choice(len(poses), min(count, len(poses)), replace=False)
        one = np.array([poses[i] for i in np.sort(chosen)]).reshape(-1, len(MEDIAPIPE33), 3)
        root = MEDIAPIPE33.root_of(one)[:, None]
        found[name] = (one - root) @ level + np.array([0.0, 0.0, 4.0])
    return found


def _doing(points: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """(T,) bool by activity, of one person (T, 33, 3), y up."""

    def of(name: str) -> np.ndarray:
        return np.asarray(MEDIAPIPE33.with_virtual(points)[:, MEDIAPIPE33.index(name)])

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))

    root = of("pelvis")
    ahead = max(int(SPEED_OVER * fps / 2.0), 1)
    rows = np.arange(len(root))
    first, last = np.maximum(rows - ahead, 0), np.minimum(rows + ahead, len(root) - 1)
    moved = np.linalg.norm((root[last] - root[first])[:, [0, 2]], axis=-1)
    speed = moved / np.maximum(last - first, 1) * fps
    up = np.array([0.0, 1.0, 0.0])
    lean = apart(of("neck") - root, up)
    thighs, knees = [], []
    for side in ("left", "right"):
        thigh, shank = of(f"{side}_knee") - of(f"{side}_hip"), of(f"{side}_ankle") - of(f"{side}_knee")
        thighs.append(apart(thigh, -up))
        knees.append(apart(thigh, shank))
    thigh, knee = np.stack(thighs), np.stack(knees)
    upright = lean < UPRIGHT_DEG
    sits = (np.abs(thigh - 90.0) < SEATED_THIGH_DEG).all(0)
    sits &= ((knee > SEATED_KNEE_DEG[0]) & (knee < SEATED_KNEE_DEG[1])).all(0)
    return {
        "standing": upright & (speed < STILL) & (knee < STRAIGHT_KNEE_DEG).all(0),
        "walking": upright & (speed > WALKING[0]) & (speed < WALKING[1]) & (thigh < 60.0).all(0),
        "sitting": sits & (speed < STILL) & (lean < 2.0 * UPRIGHT_DEG),
    }


@dataclass(frozen=True)
class Draws:
    """N draws of noise of one size: errors (N, A) and stated deviations (N, A) in degrees, NaN where an angle is not known."""

    error: np.ndarray
    stated: np.ndarray
    true: np.ndarray
    """(N, A) bool, whether the true pose has the angle."""


def drawn(poses: np.ndarray, noise: float, draws: int, random: np.random.Generator) -> Draws:
    """Angles of people who hold a pose (P, 33, 3), each for `draws` frames, whose joints have noise of `noise` metres along each
    axis, against the angles of the poses."""
    true, found, stated = [], [], []
    for pose in poses:
        shaken = pose + noise * random.standard_normal((draws, *pose.shape))
        held, seen = (
            angles_of(sequence_of(xyz, angle_oracle.stamps(len(xyz)), MEDIAPIPE33.name, noise), REPEATED)
            for xyz in (pose[None], shaken)
        )
        true.append(np.repeat(held.angle, draws, 0))
        found.append(seen.angle)
        stated.append(seen.std)
    values, truths, deviations = (
        np.degrees(some).reshape(-1, len(isb.NAMES))
        for some in (np.array(found), np.array(true), np.array(stated))
    )
    by_name = [dict(zip(isb.NAMES, one.T, strict=True)) for one in (values, truths)]
    errors = angle_oracle.errors(*by_name)
    error = np.stack([errors[name] for name in isb.NAMES], 1)
    return Draws(error, np.where(np.isfinite(error), deviations, np.nan), np.isfinite(truths))


def noisy(draws: Iterable[Draws]) -> dict[str, Noisy]:
    """By kind of angle, both sides and all draws together."""
    parts = list(draws)
    error, stated, true = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("error", "stated", "true")
    )
    found = {}
    for kind in kinds():
        columns = [row for row, name in enumerate(isb.NAMES) if pooled(name) == kind]
        e, s, t = error[:, columns], stated[:, columns], true[:, columns]
        there = np.isfinite(e)
        known = float(there.sum() / max(t.sum(), 1))
        if not t.size or t.mean() < LEAST_KNOWN or known < LEAST_KNOWN:
            found[kind] = Noisy(math.nan, math.nan, math.nan, known)
            continue
        found[kind] = Noisy(
            float(np.sqrt((e[there] ** 2).mean())),
            float(np.sqrt((s[there] ** 2).mean())),
            float((e[there] <= NINE_TENTHS * s[there]).mean()),
            known,
        )
    return found


def _noise(settings: Settings) -> tuple[str, dict[str, Any]]:
    random = np.random.default_rng(settings.seed)
    poses = activities(mocap.read(settings.data / PACKS["test"]), settings.poses, random)
    runs = {
        (noise, name): drawn(some, noise / 1e3, settings.draws, random)
        for noise in NOISES_MM
        for name, some in poses.items()
    }
    all_of = {noise: noisy(runs[noise, name] for name in poses) for noise in NOISES_MM}
    each = {name: noisy([runs[MIDDLE_MM, name]]) for name in poses}
    header = ["angle"]
    for noise in NOISES_MM:
        header += [f"{noise} mm", "stated"]
    header += ["90 % covers", "known", *(f"{name}, {MIDDLE_MM} mm" for name in poses)]
    rows = []
    for kind in kinds():
        cells = [_title(kind)]
        for noise in NOISES_MM:
            one = all_of[noise][kind]
            cells += [tables.number(one.error), tables.number(one.stated)]
        middle = all_of[MIDDLE_MM][kind]
        cells += [tables.percent(middle.covered), tables.percent(middle.known or None)]
        rows.append([*cells, *(tables.number(each[name][kind].error) for name in poses)])
    counts = ", ".join(f"{len(some)} {name}" for name, some in poses.items())
    text = (
        f"{_made()}: root mean square error in degrees for noise of 10, 20 and 40 mm along each axis of each joint, beside "
        f"the standard deviation that comes with the angle. People of the motion capture test who hold a pose ({counts}), "
        f"each for {settings.draws} frames with new noise; `{MEDIAPIPE33.name}`, pelvis by {AngleOptions.pelvis_sequence}. "
        f"How often 90 % intervals hold, and how often an angle that the pose has stays known, is for {MIDDLE_MM} mm.\n\n"
        f"{tables.markdown(header, rows)}"
    )
    plain = {
        f"{noise} mm": {kind: asdict(one) for kind, one in found.items()} for noise, found in all_of.items()
    } | {name: {kind: asdict(one) for kind, one in found.items()} for name, found in each.items()}
    return text, plain


def stated_of(takes: Sequence[Take]) -> dict[str, dict[str, Noisy]]:
    """By how joints may err (`ERRORS`) and by kind of angle: errors of people who were lifted and refined, beside what is stated
    if joints err so."""
    draws: dict[str, list[Draws]] = {errors: [] for errors in ERRORS}
    for take in takes:
        refined = recording.refine_live(take.given, RefineParams())
        truth = angles_of(sequence_of(take.truth, take.given.stamps, take.given.skeleton))
        for errors, some in draws.items():
            found = angles_of(refined, AngleOptions(errors=errors))
            error = np.abs(wrapped(np.degrees(found.angle - truth.angle)))
            flagged = (found.flags | truth.flags) != AngleFlag.VALID
            some.append(
                Draws(
                    np.where(flagged, np.nan, error),
                    np.where(flagged, np.nan, np.degrees(found.std)),
                    truth.flags == AngleFlag.VALID,
                )
            )
    return {errors: noisy(some) for errors, some in draws.items()}


def errors_together(takes: Sequence[Take]) -> tuple[float, dict[str, tuple[float, float]]]:
    """Share of the variance of joints that lies along the view; and the correlation of each joint's error there with that of the
    joint before it, beside what is taken for it, both sides pooled, by the name without the side.

    Of people as they were lifted, about the root, over the stated deviations.
    """
    skeleton = SKELETONS.get(takes[0].given.skeleton)
    off = np.concatenate(
        [
            (metrics.root_aligned(take.given.xyz, skeleton) - metrics.root_aligned(take.truth, skeleton))
            / take.given.std[..., None]
            for take in takes
        ]
    )
    off = off[np.isfinite(off).all((1, 2))]
    variance = np.square(off).mean((0, 1))
    depth = skeleton.with_virtual(off)[..., 2]
    mixing = skeleton.with_virtual(JointErrors.lifted(skeleton).mixing)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for parent, child in skeleton.bones:
        if parent != skeleton.root:
            rows = skeleton.indices(parent, child)
            taken = mixing[rows] @ mixing[rows].T
            both = np.corrcoef(depth[:, rows].T)[0, 1], taken[0, 1] / math.sqrt(taken[0, 0] * taken[1, 1])
            pairs.setdefault(without_side(child), []).append((float(both[0]), float(both[1])))
    return float(variance[2] / variance.sum()), {
        name: (math.fsum(one for one, _ in some) / len(some), some[0][1]) for name, some in pairs.items()
    }


def _lifted(settings: Settings) -> tuple[str, dict[str, Any]]:
    takes = Scenes(
        refiner_evaluate.Settings(
            settings.data, clips=settings.clips, frames=settings.frames, seed=settings.seed, real=False
        )
    ).lifted
    found = stated_of(takes)
    share, together = errors_together(takes)
    header = [
        "angle",
        "error",
        *itertools.chain(*((f"stated, {errors}", "90 % covers") for errors in ERRORS)),
    ]
    rows = []
    for kind in kinds():
        ways = [one[kind] for one in found.values()]
        cells = [_title(kind), tables.number(ways[0].error)]
        for one in ways:
            cells += [tables.number(one.stated), tables.percent(one.covered)]
        rows.append(cells)
    joints = [[_title(name), *(tables.number(value, 2) for value in both)] for name, both in together.items()]
    text = (
        f"{_made()}: root mean square error in degrees of `{Lift3DParams().lifter}` with `{RefineParams().refiner}`, live, on "
        f"{settings.clips} clips of {settings.frames} images of people of the motion capture test, seen by a simulated "
        f"detector, beside the standard deviation that comes with the angle: with errors of joints that go together, as they are "
        f"taken for `lifted` people, and as if they were `independent`. Frames in which an angle is flagged do not count.\n\n"
        f"{tables.markdown(header, rows)}\n"
        f"Of the variance of a joint, {tables.percent(share)} lie along the view ({tables.percent(DEPTH_SHARE)} are taken). "
        f"There its error goes with that of the joint before it by\n\n"
        f"{tables.markdown(['joint', 'correlation', 'taken'], joints)}"
    )
    return text, {
        "covered": {
            errors: {kind: asdict(one) for kind, one in some.items()} for errors, some in found.items()
        },
        "depth_share": share,
        "handed_down": together,
    }


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


def _opensim(settings: Settings) -> tuple[str, dict[str, Any]]:
    walk = opensim_walk.read(settings.data / "opensim")
    ours, theirs = walked(walk)
    ways = {way: apart(values, theirs) for way, values in ours.items()}
    names = {pooled(angle.name): angle.opensim[0] for angle in isb.ANGLES if angle.opensim}
    rows = []
    for kind in kinds():
        if kind not in next(iter(ways.values())):
            continue
        cells = [
            f"`{names[kind].removesuffix('_r').removesuffix('_l')}`",
            tables.number(ways[MARKER_SET][kind].span),
        ]
        for found in ways.values():
            one = found[kind]
            cells += [tables.number(one.mean), tables.number(one.without_offset), tables.number(one.offset)]
        rows.append(cells)
    header = ["coordinate", "moves by"]
    for way in ways:
        header += [f"{way}: error", "without offset", "offset"]
    text = (
        f"{_made()}: mean absolute difference in degrees from OpenSim's inverse kinematics over {len(walk.markers)} frames of "
        f"`subject01` walking, sides together.\n\n{tables.markdown(header, rows)}"
    )
    return text, {way: {kind: asdict(one) for kind, one in each.items()} for way, each in ways.items()}


def sequence_of(
    xyz: np.ndarray, stamps: np.ndarray, skeleton: str, std: float = REFERENCE_STD
) -> PoseSequence:
    """Joints (T, J, 3) as a recording of one person, with one standard deviation in metres for all."""
    missing = np.isnan(xyz).any(-1)
    return PoseSequence(
        skeleton=skeleton,
        stamps=stamps,
        xyz=xyz,
        confidence=np.where(missing, 0.0, 1.0),
        std=np.where(missing, np.nan, std),
        root_std=np.full((len(xyz), 3), std),
        state=np.where(missing, JointState.MISSING, JointState.MEASURED).astype(np.uint8),
        person_confidence=np.where(missing.all(1), np.nan, 1.0),
        frame_id="camera",
        person="p1",
    )


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


def _real(_settings: Settings) -> tuple[str, dict[str, Any]]:
    video = real_video.load(1)
    found = one_camera(video)
    header = ["angle", "moves by"]
    for way in found:
        lifter, _, how = way.partition(", ")
        header += [f"`{lifter}` {how}", "without offset"]
    header += ["90 % covers", "known"]
    first = next(iter(found.values()))
    rows = []
    for kind in kinds():
        cells = [_title(kind), tables.number(first[kind].span)]
        for ways in found.values():
            cells += [tables.number(ways[kind].mean), tables.number(ways[kind].without_offset)]
        rows.append([*cells, tables.percent(first[kind].covered), tables.percent(first[kind].known or None)])
    text = (
        f"{_made()}: mean absolute difference in degrees between camera {CAMERA} alone and all four, over the "
        f"{len(video.reference.xyz)} frames of {real_video.CLIP} at {real_video.RATE_HZ} a second, sides together; refined by "
        f"`{RefineParams().refiner}`, pelvis by {AngleOptions.pelvis_sequence}. Frames in which an angle is flagged on either "
        f"side do not count. How far an angle moves is what four cameras say; how often 90 % intervals hold, and how often there "
        f"is an angle where four cameras have one, is for the first way.\n\n{tables.markdown(header, rows)}"
    )
    return text, {way: {kind: asdict(one) for kind, one in ways.items()} for way, ways in found.items()}


@dataclass(frozen=True)
class Cost:
    """Milliseconds of the processor for one person in one frame."""

    live: float
    """Frame by frame: median."""
    least: float
    """The tenth of the frames that cost least: other programs slow the rest down."""
    recorded: float
    """Mean over a recording that is taken as a whole."""


def costs(frames: int = 600) -> dict[str, Cost]:
    """By skeleton, of a body that walks."""
    swing = np.linspace(0.0, 20.0 * math.pi, frames)
    values: dict[str, np.ndarray] = {}
    for letter, phase in (("r", 0.0), ("l", math.pi)):
        values[f"hip_flexion_{letter}"] = 10.0 + 25.0 * np.sin(swing + phase)
        values[f"knee_angle_{letter}"] = 35.0 + 30.0 * np.sin(swing + phase)
        values[f"arm_flex_{letter}"] = -20.0 * np.sin(swing + phase)
        values[f"elbow_flex_{letter}"] = 40.0 + 0.0 * swing
    placed = segment_chain.place(values)
    stamps = angle_oracle.stamps(frames)
    found = {}
    for skeleton in SKELETONS_KNOWN:
        xyz = segment_chain.in_camera(placed.joints(skeleton))
        people = [angle_oracle.person(one) for one in xyz]
        solver, spent = AngleSolver(SKELETONS.get(skeleton), AngleOptions()), []
        for stamp, person in zip(stamps.tolist(), people, strict=True):
            start = time.process_time_ns()
            solver.solve(person, stamp)
            spent.append((time.process_time_ns() - start) / 1e6)
        recording = sequence_of(xyz, stamps, skeleton)
        start = time.process_time_ns()
        angles_of(recording)
        whole = (time.process_time_ns() - start) / 1e6 / frames
        found[skeleton] = Cost(float(np.median(spent)), float(np.quantile(spent, 0.1)), whole)
    return found


def cost_table(found: Mapping[str, Cost]) -> str:
    """What angles cost, and on which machine."""
    rows = [
        [f"`{name}`", *(tables.number(value, 2) for value in (one.live, one.least, one.recorded))]
        for name, one in found.items()
    ]
    return (
        f"Milliseconds of one core for one person in one frame, on {machine()} (aim: under {AIM_MS:g}):\n\n"
        f"{tables.markdown(['joints', 'live', 'least tenth', 'recorded'], rows)}"
    )


def _title(kind: str) -> str:
    return kind.replace("_", " ")


def _made() -> str:
    return f"Made by `{COMMAND}`"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _without_nan(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
