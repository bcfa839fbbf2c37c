"""43 anatomical markers more from the 20 keypoints that cameras see, by the marker enhancer of OpenCap.

A. Falisse, S. Uhlrich, A. Chaudhari, J. Hicks and S. Delp, "Marker Data Enhancement for Markerless Motion Capture", IEEE
Transactions on Biomedical Engineering, 2025: two LSTMs, one for the body and one for the arms, trained on 1433 hours of motion
capture. Their version 0.3, as ONNX, lies in the wheel of Pose2Sim; models and code are under the Apache licence 2.0.

The networks work at 60 frames a second on positions about the Hip in body heights, with height and mass as two inputs more, each
input less its mean over its deviation in training. They look back only, and forget within some seconds, so a recording is worked
off in windows that overlap.

A network gives markers for anything it is shown. Whether they belong to the body is told by the keypoints: a knee lies between
its two markers. `Gate` leaves out frames in which they do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pose_biomechanics.marker_set import MARKERS
from pose_biomechanics.params import MAX_CYCLES
from pose_biomechanics.segments import MARKER_JOINTS
from pose_core import assets
from pose_core.filtering.joint_errors import RIGID, JointErrors
from pose_core.markers import MarkerSequence
from pose_core.networks.runtime import open_network
from pose_core.reading.arrays import read_npy
from pose_core.reading.damage import damage_told
from pose_core.skeleton import POSE2SIM22
from pose_core.types import Array
from pose_core.units import S_PER_NS

VERSION = "0.3"
ASSETS = "MarkerAugmenter/LSTM"
"""Of the networks among the assets; each has a folder of its own with `FILES`."""
FILES = ("model.onnx", "mean.npy", "std.npy")

RATE_HZ = 60.0
"""Of the motions that the networks were trained on."""
MAX_GAP = 0.2
"""Seconds for which inputs may be missing before a network starts anew."""
REACH = 2.0
"""Body heights; a marker that is farther from the Hip is missing. One glitch would stay in a network's memory."""
WINDOW = 1024
"""Frames of a window that are new. The rest of it lets the network forget that it starts anew."""
WARM_UP = 512
"""Frames. Windows then differ from the whole by less than 2e-6 m in nine recordings of ten, and by 8e-5 m in the tenth."""
STILL = 60
"""Frames for which a network is shown the first pose before it moves. Begun cold, as Pose2Sim does, it puts the markers of the
first frame 23 mm from where it has them when it knows the frames before, and those of the third 8 mm; so, 5 and 3 mm. The
beginning mirrored in time, in place of the still one, leaves 9 and 5 mm."""
ROWS = 32
"""Windows that are run at a time, at most: many at a time cost little more than one, and memory."""

HEIGHTS = (1.0, 2.5)
"""Metres that a person may be tall."""
MASSES = (10.0, 300.0)
"""Kilograms that a person may weigh."""
HEADING_STD = 0.002
"""Body heights by which positions differ with the heading: medians of OpenCap's three recordings, 2.9 to 3.5 mm of 1.96 m."""


@dataclass(frozen=True)
class Network:
    """One of the networks: what goes in and what comes out, in order."""

    part: str
    folder: str
    inputs: tuple[str, ...]
    """Markers; height and mass follow."""
    outputs: Mapping[str, str]
    """Markers as Pose2Sim calls them, and the keypoint that each moves with most nearly."""


def _both(names: str) -> tuple[str, ...]:
    """`Hip Knee` -> RHip, LHip, RKnee, LKnee."""
    return tuple(f"{side}{name}" for name in names.split() for side in "RL")


def _outputs(names: str) -> dict[str, str]:
    """`r_knee:RKnee` -> {"r_knee_study": "RKnee"}."""
    pairs = (name.split(":") for name in names.split())
    return {f"{name}_study": keypoint for name, keypoint in pairs}


NETWORKS = (
    Network(
        "body",
        f"v{VERSION}_lower",
        ("Neck", *_both("Shoulder Hip Knee Ankle Heel SmallToe BigToe")),
        _outputs(
            "r.ASIS:RHip L.ASIS:LHip r.PSIS:RHip L.PSIS:LHip "
            "r_knee:RKnee r_mknee:RKnee r_ankle:RAnkle r_mankle:RAnkle r_toe:RBigToe r_5meta:RSmallToe r_calc:RHeel "
            "L_knee:LKnee L_mknee:LKnee L_ankle:LAnkle L_mankle:LAnkle L_toe:LBigToe L_calc:LHeel L_5meta:LSmallToe "
            "r_shoulder:RShoulder L_shoulder:LShoulder C7:Neck "
            "r_thigh1:RKnee r_thigh2:RKnee r_thigh3:RKnee L_thigh1:LKnee L_thigh2:LKnee L_thigh3:LKnee "
            "r_sh1:RAnkle r_sh2:RAnkle r_sh3:RAnkle L_sh1:LAnkle L_sh2:LAnkle L_sh3:LAnkle "
            "RHJC:RHip LHJC:LHip"
        ),
    ),
    Network(
        "arms",
        f"v{VERSION}_upper",
        ("Neck", *_both("Shoulder Elbow Wrist")),
        _outputs(
            "r_lelbow:RElbow r_melbow:RElbow r_lwrist:RWrist r_mwrist:RWrist "
            "L_lelbow:LElbow L_melbow:LElbow L_lwrist:LWrist L_mwrist:LWrist"
        ),
    ),
)
PARTS = tuple(network.part for network in NETWORKS)
CARRIERS = {name: keypoint for network in NETWORKS for name, keypoint in network.outputs.items()}
"""Of each marker that the networks add, the keypoint that it moves with."""
ADDED = tuple(CARRIERS)
"""The markers that the networks add, in their order."""
PELVIS = tuple(f"{place}_study" for place in ("r.ASIS", "L.ASIS", "r.PSIS", "L.PSIS"))
"""Those that move with a hip and lean with the trunk."""
LEAN = 0.35
"""Share of the neck's deviation that is added to that of their hips. Taken to move with the middle between the hips, they were
said to be off by half of what they are on simulated people."""
NAMES = MARKERS + ADDED
"""All markers of an augmented recording."""


@dataclass(frozen=True)
class Check:
    """A keypoint beside the middle of added markers."""

    part: str
    keypoint: str
    markers: tuple[str, ...]
    usual: float
    """Body heights between them where all is well: half the width of the bones, and what keypoints are beside them."""


def _checks(part: str, name: str, markers: str, usual: float) -> tuple[Check, ...]:
    """Of both sides; `{}` is the side in a marker's name."""
    return tuple(
        Check(
            part,
            f"{side}{name}",
            tuple(f"{marker.format(mark)}_study" for marker in markers.split()),
            usual,
        )
        for side, mark in (("R", "R" if "HJC" in markers else "r"), ("L", "L"))
    )


CHECKS = (
    Check("body", "Hip", ("r.ASIS_study", "L.ASIS_study", "r.PSIS_study", "L.PSIS_study"), 0.053),
    *_checks("body", "Hip", "{}HJC", 0.027),
    *_checks("body", "Knee", "{}_knee {}_mknee", 0.008),
    *_checks("body", "Ankle", "{}_ankle {}_mankle", 0.008),
    *_checks("body", "Heel", "{}_calc", 0.027),
    *_checks("body", "BigToe", "{}_toe", 0.015),
    *_checks("body", "SmallToe", "{}_5meta", 0.036),
    *_checks("body", "Shoulder", "{}_shoulder", 0.028),
    *_checks("arms", "Elbow", "{}_lelbow {}_melbow", 0.020),
    *_checks("arms", "Wrist", "{}_lwrist {}_mwrist", 0.011),
)
"""What tells whether added markers belong to the body. Usual distances: medians of eight recordings, see docs/markers.md."""


@dataclass(frozen=True)
class Gate:
    """Leaves out frames of a part of the body in which markers lie farther from their keypoints than usual.

    By how much is counted for the worst of `CHECKS`, in body heights. Raises ValueError for limits that cannot work.
    """

    trip: float = 0.04
    """Above it the part is left out: 70 mm of a person of 1.75 m. Recordings in which all is well stay below 0.035."""
    release: float = 0.03
    """At or below it ..."""
    hold: float = 0.25
    """... for so many seconds the part is used again."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.release <= self.trip:
            raise ValueError(
                f"a gate must release between 0 and where it trips, got release {self.release}, trip {self.trip}"
            )
        if not self.hold >= 0.0:
            raise ValueError(f"hold must be 0 s or more, got {self.hold}")

    def passes(self, seconds: Array, excess: Array) -> Array:
        """(T,) bool: which frames pass; `excess` (T,) body heights, NaN where there is nothing to judge.

        After a frame with nothing to judge the gate is as at the beginning, open.
        """
        passed = np.zeros(len(excess), bool)
        shut, good_since = False, math.inf
        for i, (time, one) in enumerate(zip(seconds.tolist(), excess.tolist(), strict=True)):
            if math.isnan(one):
                shut = False
                continue
            if one > (self.release if shut else self.trip):
                shut, good_since = True, math.inf
            elif shut:
                good_since = min(good_since, time)
                shut = time - good_since < self.hold
            passed[i] = not shut
        return passed


@dataclass(frozen=True)
class Residual:
    """Distances of a keypoint from the middle of the markers around it, over the frames that have both."""

    median_mm: float
    p95_mm: float
    max_mm: float
    usual_mm: float


@dataclass(frozen=True, eq=False)
class Augmented:
    """Markers after augmentation, and what there is to say about it."""

    markers: MarkerSequence
    """With all of `NAMES`, NaN where a part is not used; the ones that came in, where `used` is False."""
    used: bool
    """Whether anything was added."""
    mask: Array
    """(T, 2) bool: in which frames the markers of each of `PARTS` were added."""
    excess: Array
    """(T, 2) body heights by which the worst of `CHECKS` is beyond what is usual; NaN where inputs are missing."""
    residuals: Mapping[str, Residual]
    """Of every check that could be made, by keypoint, before the gate."""
    reason: str
    """One sentence: how much was added, and why no more."""


@dataclass(frozen=True, eq=False)
class _Person:
    """What goes in."""

    stamps: Array  # (T,) ns
    xyz: Array  # (T, 22, 3) metres
    std: Array  # (T, 22) metres
    height: float  # metres
    mass: float  # kilograms

    @property
    def seconds(self) -> Array:
        """(T,) since the first frame."""
        result: Array = (self.stamps - self.stamps[:1]) * S_PER_NS
        return result

    def pieces(self, network: Network) -> list[Array]:
        """Numbers of the frames in which all inputs of a network are there, parted where it must start anew."""
        needed = [MARKERS.index(name) for name in ("Hip", *network.inputs)]
        with np.errstate(invalid="ignore"):  # of what is not finite
            away = np.linalg.norm(self.xyz[:, needed] - self.xyz[:, needed[:1]], axis=-1)
            rows = np.flatnonzero((away <= REACH * self.height).all(1))
        cuts = np.flatnonzero(np.diff(self.stamps[rows]) * S_PER_NS > MAX_GAP) + 1
        return [piece for piece in np.split(rows, cuts) if len(piece)]


class MarkerAugmenter:
    """Adds the markers of both networks to recordings. Keeps the networks, no recording."""

    def __init__(
        self,
        device: str = "auto",
        gate: Gate | None = None,
        folder: Path | None = None,
        still: int = STILL,
    ) -> None:
        """`device`: as of `pose_core.networks.runtime`, on a GPU where there is one. `folder`: of the networks, instead of the
        assets.

        `still`: frames at 60 Hz for which they see the first pose before it moves; 0 is what Pose2Sim does.

        Raises `assets.MissingAsset` where the networks were not fetched, `assets.CorruptAsset` where they are damaged, ValueError
        for a device that is not there and for networks of another shape.
        """
        self.gate = gate or Gate()
        self._loaded = [_Loaded(network, device, folder, still) for network in NETWORKS]
        self.device = self._loaded[0].device
        """What really computes."""

    def augment(self, markers: MarkerSequence, height: float, mass: float, cycles: int = 1) -> Augmented:
        """`markers` and the 43 added ones where they pass the gate: metres, Y up.

        `height` of the person in metres, `mass` in kilograms. `cycles`: the networks are shown the person turned about the
        vertical to so many evenly spaced headings, and what they say is turned back and averaged; its spread counts in the
        deviations. 1 is what Pose2Sim and OpenCap do. Raises ValueError for sizes that no person has, and where one of the
        22 markers is not among `markers`.
        """
        _expect("height", height, HEIGHTS, "m")
        _expect("mass", mass, MASSES, "kg")
        _expect("cycles", cycles, (1, MAX_CYCLES), "headings")
        lacking = [name for name in MARKERS if name not in markers.names]
        if lacking:
            raise ValueError(
                f"augmentation needs all {len(MARKERS)} markers of Pose2Sim, {', '.join(lacking)} are not there"
            )
        columns = [markers.names.index(name) for name in MARKERS]
        person = _Person(markers.stamps, markers.xyz[:, columns], markers.std[:, columns], height, mass)
        added, spread = self._added(person, cycles)
        distances = {check: _distance(check, person.xyz, added) for check in CHECKS}
        beyond = [
            [distance / height - check.usual for check, distance in distances.items() if check.part == part]
            for part in PARTS
        ]
        excess = np.stack([np.max(rows, axis=0) for rows in beyond], -1)
        mask = np.stack([self.gate.passes(person.seconds, column) for column in excess.T], -1)
        used = bool(mask.any())
        reason = self._reason(mask, excess, distances, person)
        result = markers
        if used:
            about = {
                "networks": f"OpenCap marker enhancer {VERSION}",
                "height": float(height),
                "mass": float(mass),
                "cycles": int(cycles),
                "device": self.device,
                "frames": dict(zip(PARTS, mask.sum(0).tolist(), strict=True)),
                "reason": reason,
            }
            result = _joined(markers, person, added, spread, mask, about)
        residuals = {
            check.keypoint: _residual(distance, check.usual * height)
            for check, distance in distances.items()
            if np.isfinite(distance).any()
        }
        return Augmented(result, used, mask, excess, residuals, reason)

    def _added(self, person: _Person, cycles: int) -> tuple[Array, Array]:
        """Positions (T, 43, 3) and spreads over headings (T, 43) in metres; NaN where inputs are missing."""
        xyz = np.full((len(person.stamps), len(ADDED), 3), np.nan)
        spread = np.full((len(person.stamps), len(ADDED)), np.nan)
        for loaded in self._loaded:
            columns = [ADDED.index(name) for name in loaded.network.outputs]
            for rows in person.pieces(loaded.network):
                xyz[rows[:, None], columns], spread[rows[:, None], columns] = loaded.augment(
                    person, rows, cycles
                )
        return xyz, spread

    def _reason(self, mask: Array, excess: Array, distances: Mapping[Check, Array], person: _Person) -> str:
        """What became of the frames."""
        frames = len(mask)
        if not frames:
            return "there are no frames"
        words = []
        for column, part in enumerate(PARTS):
            word = f"{part} in {mask[:, column].sum()} of {frames} frames"
            judged = np.isfinite(excess[:, column])
            if not judged.all():
                word += f", {frames - judged.sum()} lack keypoints"
            if (judged & ~mask[:, column]).any():
                mine = {check: distance for check, distance in distances.items() if check.part == part}
                far = {check: np.nanmax(d) - check.usual * person.height for check, d in mine.items()}
                worst = max(far, key=far.__getitem__)
                word += (
                    f", in {(judged & ~mask[:, column]).sum()} markers lie too far from keypoints "
                    f"({worst.keypoint} by {1e3 * far[worst]:.0f} mm more than usual, "
                    f"{1e3 * self.gate.trip * person.height:.0f} mm are allowed)"
                )
            words.append(word)
        return "augmented: " + "; ".join(words)


def _normalisation(file: Path) -> Array:
    with damage_told(file, "is no whole .npy file of numbers: {}"):
        return read_npy(file)


class _Loaded:
    """A network that is ready to run."""

    def __init__(self, network: Network, device: str, folder: Path | None, still: int) -> None:
        self.network = network
        self._still = still
        model, mean, std = (
            folder / network.folder / file
            if folder
            else assets.verify_once(f"{ASSETS}/{network.folder}/{file}")
            for file in FILES
        )
        self._mean, self._std = (_normalisation(file) for file in (mean, std))
        opened = open_network(model.read_bytes(), str(model), device, "install it to augment markers")
        self._session, self.device, _ = opened
        inputs, outputs = 3 * len(network.inputs) + 2, 3 * len(network.outputs)
        found = [node.shape[-1] for node in (*self._session.get_inputs(), *self._session.get_outputs())]
        if found != [inputs, outputs] or {self._mean.shape, self._std.shape} != {(inputs,)}:
            raise ValueError(
                f"the network in '{model}' has widths {found} and normalisation {self._mean.shape}, not {[inputs, outputs]}"
            )

    def augment(self, person: _Person, rows: Array, cycles: int) -> tuple[Array, Array]:
        """Positions (R, M, 3) and spreads (R, M) in metres of this network's markers in the R frames `rows`, one motion."""
        columns = [MARKERS.index(name) for name in self.network.inputs]
        hip = person.xyz[rows, MARKERS.index("Hip")]
        inputs = (person.xyz[rows[:, None], columns] - hip[:, None]) / person.height
        seconds = person.seconds[rows]
        steps = np.arange(math.ceil((seconds[-1] - seconds[0]) * RATE_HZ - 1e-6) + 1) / RATE_HZ + seconds[0]
        shown = _resampled(inputs, seconds, steps)
        shown = np.pad(shown, ((self._still, 0), (0, 0), (0, 0)), mode="edge")
        xyz, spread = (told[self._still :] for told in self._headings(shown, person, cycles))
        xyz, spread = _resampled(xyz, steps, seconds), _resampled(spread, steps, seconds)
        xyz *= person.height  # in place: an hour of it is a tenth of a gigabyte
        xyz += hip[:, None]
        return xyz, person.height * spread

    def _headings(self, inputs: Array, person: _Person, cycles: int) -> tuple[Array, Array]:
        """Mean (T, M, 3) and spread (T, M) over headings, in body heights, of inputs (T, K, 3) at `RATE_HZ`."""
        turns = np.stack([_about_vertical(2.0 * math.pi * k / cycles) for k in range(cycles)])
        xyz = np.empty((len(inputs), len(self.network.outputs), 3), np.float32)
        spread = np.empty(xyz.shape[:2], np.float32)
        windows = _windows(len(inputs))
        at_once = max(1, ROWS // cycles)
        for first in range(0, len(windows), at_once):
            batch = windows[first : first + at_once]
            length = max(window.stop - window.start for window in batch)
            shown = np.zeros((len(batch), length, *inputs.shape[1:]))
            for row, window in zip(shown, batch, strict=True):
                row[: window.stop - window.start] = inputs[window.start : window.stop]
            turned = np.einsum("cij,wtkj->wctki", turns, shown).reshape(-1, *shown.shape[1:])
            told = self._run(turned, person).reshape(len(batch), cycles, length, -1, 3)
            back = np.einsum("cji,wctkj->wctki", turns, told)
            mean = back.mean(1)
            deviation = np.full(mean.shape[:-1], HEADING_STD)
            if cycles > 1:
                deviation = np.sqrt(back.var(1, ddof=1).mean(-1))
            for window, positions, deviations in zip(batch, mean, deviation, strict=True):
                told_new = slice(window.new - window.start, window.stop - window.start)
                xyz[window.new : window.stop] = positions[told_new]
                spread[window.new : window.stop] = deviations[told_new]
        return xyz, spread

    def _run(self, xyz: Array, person: _Person) -> Array:
        """Markers (B, T, M, 3) from inputs (B, T, K, 3), both about the Hip in body heights."""
        flat = xyz.reshape(*xyz.shape[:2], -1)
        sizes = np.broadcast_to([person.height, person.mass], (*flat.shape[:2], 2))
        features = (np.concatenate([flat, sizes], -1) - self._mean) / self._std
        feed = {self._session.get_inputs()[0].name: features.astype(np.float32)}
        return np.asarray(self._session.run(None, feed)[0]).reshape(*xyz.shape[:2], -1, 3)


@dataclass(frozen=True)
class _Window:
    """Frames from `start` to `stop`, of which those before `new` only warm the network up."""

    start: int
    new: int
    stop: int


def _windows(frames: int) -> list[_Window]:
    """Windows whose new frames make up all `frames`. The first begins as the network does on a whole recording."""
    windows = [_Window(0, 0, min(frames, WARM_UP + WINDOW))]
    while windows[-1].stop < frames:
        new = windows[-1].stop
        windows.append(_Window(new - WARM_UP, new, min(frames, new + WINDOW)))
    return windows


def _about_vertical(angle: float) -> Array:
    """(3, 3) turns by `angle` about Y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def _resampled(values: Array, seconds: Array, wanted: Array) -> Array:
    """(W, ...) values (T, ...) at other times, linearly; constant beyond the ends."""
    columns = values.reshape(len(values), -1)
    out = np.empty((len(wanted), columns.shape[1]))
    for i, column in enumerate(columns.T):
        out[:, i] = np.interp(wanted, seconds, column)
    return out.reshape(len(wanted), *values.shape[1:])


def _expect(name: str, value: float, limits: tuple[float, float], unit: str) -> None:
    if not limits[0] <= value <= limits[1]:
        raise ValueError(f"{name} must lie between {limits[0]:g} and {limits[1]:g} {unit}, got {value:g}")


def _distance(check: Check, keypoints: Array, added: Array) -> Array:
    """(T,) metres; NaN where either is missing."""
    middle = added[:, [ADDED.index(name) for name in check.markers]].mean(1)
    result: Array = np.linalg.norm(middle - keypoints[:, MARKERS.index(check.keypoint)], axis=-1)
    return result


def _residual(distance: Array, usual: float) -> Residual:
    median, p95, most = np.nanpercentile(distance, [50, 95, 100]) * 1e3
    return Residual(float(median), float(p95), float(most), usual * 1e3)


def marker_errors(names: Sequence[str]) -> JointErrors:
    """How errors go together of markers of a person who was lifted from one camera, among them those that the networks add.

    Axes are those of markers (X is where the camera looks). Added ones share most of the error of the keypoint that they move
    with, but for the pelvis's, which tell how it leans. Raises KeyError for other markers.
    """
    lifted = JointErrors.lifted(POSE2SIM22)
    shared = np.array([1.0 if name in MARKERS else 0.0 if name in PELVIS else RIGID for name in names])
    rows = [POSE2SIM22.index(MARKER_JOINTS[CARRIERS.get(name, name)]) for name in names]
    own = np.diag(np.sqrt(1.0 - shared**2))
    across, _, depth = lifted.axes
    mixing = np.concatenate([shared[:, None] * lifted.mixing[rows], own], 1)
    return JointErrors(mixing, np.array([depth, across, across]))


def _joined(
    markers: MarkerSequence,
    person: _Person,
    added: Array,
    spread: Array,
    mask: Array,
    about: Mapping[str, Any],
) -> MarkerSequence:
    """All markers, those of the frames and parts that `mask` (T, 2) leaves out missing."""
    kept = np.repeat(mask, [len(network.outputs) for network in NETWORKS], axis=1)
    carriers = [MARKERS.index(keypoint) for keypoint in CARRIERS.values()]
    xyz = np.concatenate([person.xyz, added], 1)
    leaning = np.array([LEAN if name in PELVIS else 0.0 for name in ADDED])
    carried = np.hypot(person.std[:, carriers], leaning * person.std[:, [MARKERS.index("Neck")]])
    std = np.concatenate([person.std, np.hypot(carried, spread)], 1)
    xyz[:, len(MARKERS) :][~kept] = np.nan
    std[:, len(MARKERS) :][~kept] = np.nan
    return MarkerSequence(
        NAMES,
        markers.stamps,
        xyz,
        std,
        markers.person,
        {**markers.metadata, "augmentation": dict(about)},
    )
