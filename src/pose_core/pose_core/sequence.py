"""One person over time: the arrays that training, evaluation and export work on, and their file."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pose_core.files import write_whole
from pose_core.geometry import covariance as covariances
from pose_core.people import JointState, People2D, People3D, Person3D, ScaleSource, expect_joints
from pose_core.reading.arrays import Archive, open_npz
from pose_core.reading.damage import damage_told
from pose_core.types import Array, Stamps, Track, TrackMask, TrackScalars, TrackState, TrackStd, TrackVectors
from pose_core.units import S_PER_NS

FORMAT = "pose_sequence 1"
"""Stands in each file: what it is, and the version of its layout."""
ARRAYS = {
    "stamps": np.int64,
    "xyz": np.float64,
    "confidence": np.float64,
    "std": np.float64,
    "root_std": np.float64,
    "state": np.uint8,
    "person_confidence": np.float64,
}
COVARIANCE = "covariance"
"""In a file, where a sequence has any."""


@dataclass(frozen=True, eq=False)
class PoseSequence:
    """T frames of J joints in D dimensions: metres (D = 3, in `frame_id`) or pixels (D = 2).

    Missing joints are NaN with confidence 0 and state MISSING; a frame without the person has no other, and
    NaN for `person_confidence`. Deviations mean what they mean in `pose_core.people`. Raises ValueError for
    shapes that disagree, stamps that do not increase, and a skeleton that is unknown or has another number of
    joints.
    """

    skeleton: str
    stamps: Stamps
    """ns"""
    xyz: Track
    confidence: TrackStd
    std: TrackStd
    root_std: TrackVectors
    state: TrackState
    person_confidence: TrackScalars
    frame_id: str = ""
    person: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything that JSON can say, such as height, source or licence."""
    covariance: Array | None = None
    """(T, J, 6) as in `Person3D`; None where only deviations are known. Where `std` says otherwise it is carried on to that."""

    def __post_init__(self) -> None:
        for name, kind in ARRAYS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        if self.xyz.ndim != 3 or self.xyz.shape[2] not in (2, 3):
            raise ValueError(f"xyz must have shape (frames, joints, 2 or 3), got {self.xyz.shape}")
        frames, joints, dims = self.xyz.shape
        expect_joints(self.skeleton, [joints])
        shapes = {
            "stamps": (frames,),
            "confidence": (frames, joints),
            "std": (frames, joints),
            "root_std": (frames, dims),
            "state": (frames, joints),
            "person_confidence": (frames,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        if self.covariance is not None:
            given = np.asarray(self.covariance, np.float64)
            if dims != 3 or given.shape != (frames, joints, 6):
                raise ValueError(
                    f"covariance must have shape {(frames, joints, 6)} and joints in 3D, got {given.shape} in {dims}D"
                )
            object.__setattr__(self, COVARIANCE, covariances.carried_on(given, self.std))
        back = np.flatnonzero(np.diff(self.stamps) <= 0)
        if back.size:
            before, after = self.stamps[back[0]], self.stamps[back[0] + 1]
            raise ValueError(f"stamps must increase, got {after} after {before}")

    def __len__(self) -> int:
        return len(self.stamps)

    def __getitem__(self, frames: slice) -> PoseSequence:
        """The frames of a slice with a positive step."""
        kept: dict[str, Any] = {name: getattr(self, name)[frames] for name in ARRAYS}
        if self.covariance is not None:
            kept[COVARIANCE] = self.covariance[frames]
        return replace(self, **kept)

    def between(self, start: int, end: int) -> PoseSequence:
        """The frames with start <= stamp < end, in ns."""
        return self[slice(*np.searchsorted(self.stamps, [start, end]).tolist())]

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return float(self.stamps[-1] - self.stamps[0]) * S_PER_NS if len(self) else 0.0

    @property
    def missing(self) -> TrackMask:
        """(T, J) whether a joint has no position."""
        result: TrackMask = ~np.isfinite(self.xyz).all(-1)
        return result

    def gaps(self, longest: float) -> list[tuple[int, int]]:
        """Stamps (before, after) of each pause of more than `longest` seconds without any joint."""
        seen = self.stamps[~self.missing.all(1)]
        wide = np.flatnonzero(np.diff(seen) * S_PER_NS > longest)
        return [(int(seen[i]), int(seen[i + 1])) for i in wide]

    def resampled(self, rate_hz: float, longest_gap: float) -> PoseSequence:
        """Frames at an even rate from the first stamp on, by linear interpolation (which looks ahead).

        A joint is interpolated between the frames on both sides in which it is present, unless these are more
        than `longest_gap` seconds apart: then it is missing. Confidence and deviations are interpolated in
        the same way. A joint keeps its state where a frame falls on a stamp, and is INTERPOLATED elsewhere.
        """
        if not rate_hz > 0.0:
            raise ValueError(f"rate_hz must be positive, got {rate_hz}")
        count = int(self.duration * rate_hz + 1e-6) + 1 if len(self) else 0
        stamps = self.stamps[:1] + np.rint(np.arange(count) / (rate_hz * S_PER_NS)).astype(np.int64)
        new: dict[str, Any] = _blank(count, *self.xyz.shape[1:])
        if self.covariance is not None:
            new[COVARIANCE] = np.full((count, self.xyz.shape[1], 6), np.nan)
        for joint in range(self.xyz.shape[1]):
            blend = _Blend.over(self.stamps, ~self.missing[:, joint], stamps, longest_gap)
            for name in ("xyz", "std", "confidence"):
                new[name][blend.where, joint] = blend.of(getattr(self, name)[:, joint])
            if self.covariance is not None:
                new[COVARIANCE][blend.where, joint] = self.covariance[blend.before, joint]
            kept = self.state[blend.before, joint]
            new["state"][blend.where, joint] = np.where(blend.exact, kept, JointState.INTERPOLATED)
        blend = _Blend.over(self.stamps, np.isfinite(self.person_confidence), stamps, longest_gap)
        for name in ("root_std", "person_confidence"):
            new[name][blend.where] = blend.of(getattr(self, name))
        return replace(self, stamps=stamps, **new)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an .npz that `load` reads; whole or not at all, and the same bytes for the same sequence.

        Raises ValueError for metadata that JSON cannot say.
        """
        header = {
            "format": FORMAT,
            "skeleton": self.skeleton,
            "frame_id": self.frame_id,
            "person": self.person,
            "metadata": dict(self.metadata),
        }
        try:
            text = json.dumps(header, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"metadata must be what JSON can say: {error}") from error
        content = io.BytesIO()
        arrays = {name: getattr(self, name) for name in ARRAYS}
        if self.covariance is not None:
            arrays[COVARIANCE] = self.covariance
        np.savez_compressed(content, header=np.array(text), **arrays)
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PoseSequence:
        """Read what `save` wrote.

        Raises FileNotFoundError, or ValueError for a foreign, damaged or newer file.
        """
        with damage_told(path, "is not a whole pose sequence: {}"), open_npz(path) as archive:
            return cls(**_members(archive))

    @classmethod
    def from_people(cls, frames: Sequence[People2D | People3D], person: str) -> PoseSequence:
        """The person with the id `person` in successive images; missing where an image does not show them.

        In 2D, boxes are left out and deviations are NaN. Raises ValueError where the person is in none of the
        images, and where these differ in kind, skeleton or frame.
        """
        if len({(type(frame), frame.skeleton, frame.frame_id) for frame in frames}) > 1:
            raise ValueError("a sequence needs images of one kind, skeleton and frame, got several")
        shown = {i: one for i, frame in enumerate(frames) for one in frame.people if one.id == person}
        if not shown:
            raise ValueError(f"person '{person}' is in none of the {len(frames)} images")
        example = next(iter(shown.values()))
        dims = 3 if isinstance(example, Person3D) else 2
        new: dict[str, Any] = _blank(len(frames), len(example.joint_confidence), dims)
        if any(isinstance(one, Person3D) and one.covariance is not None for one in shown.values()):
            new[COVARIANCE] = np.full((*new["state"].shape, 6), np.nan)
        metadata: dict[str, Any] = {}
        for i, one in shown.items():
            new["person_confidence"][i], new["confidence"][i] = one.confidence, one.joint_confidence
            if isinstance(one, Person3D):
                for name in ("xyz", "std", "root_std", "state"):
                    new[name][i] = getattr(one, name)
                if one.covariance is not None:
                    new[COVARIANCE][i] = one.covariance
                metadata["scale_source"] = one.scale_source.name
                sizes = {"height": one.height, "height_std": one.height_std}
                metadata |= {name: float(size) for name, size in sizes.items() if np.isfinite(size)}
            else:
                new["xyz"][i] = one.xy_px
                new["state"][i, np.isfinite(one.xy_px).all(-1)] = JointState.MEASURED
        return cls(
            skeleton=frames[0].skeleton,
            stamps=np.array([frame.stamp for frame in frames], np.int64),
            frame_id=frames[0].frame_id,
            person=person,
            metadata=metadata,
            **new,
        )

    def to_people(self) -> list[People3D]:
        """Each frame as the stages exchange it, empty where nothing is seen of the person.

        Raises ValueError in 2D.
        """
        if self.xyz.shape[2] != 3:
            raise ValueError("only a sequence in 3D can become people in 3D, this one is in pixels")
        height = float(self.metadata.get("height", np.nan))
        height_std = float(self.metadata.get("height_std", np.nan))
        source = ScaleSource[self.metadata.get("scale_source", "NONE")]
        gone = self.missing.all(1)
        frames = []
        for i, stamp in enumerate(self.stamps.tolist()):
            confidence = float(self.person_confidence[i])
            arrays = (self.xyz[i], self.std[i], self.root_std[i], self.confidence[i], self.state[i])
            shape = None if self.covariance is None else self.covariance[i]
            person = Person3D(self.person, confidence, *arrays, height, height_std, source, shape)
            people = () if gone[i] else (person,)
            frames.append(People3D(stamp, self.frame_id, self.skeleton, people))
        return frames


@dataclass(frozen=True)
class _Blend:
    """For those new stamps that lie between (or on) two present samples: which, and how they mix."""

    where: Array  # (N,) indices of the new stamps
    before: Array  # (N,) indices of the samples
    after: Array
    weight: Array  # (N,) of `after`

    @classmethod
    def over(cls, stamps: Array, present: Array, wanted: Array, longest_gap: float) -> _Blend:
        kept = np.flatnonzero(present)
        place = np.searchsorted(stamps[kept], wanted, side="right")
        inside = np.flatnonzero(place > 0)
        before = kept[place[inside] - 1]
        exact = stamps[before] == wanted[inside]
        ends = place[inside] == len(kept)
        after = (
            np.where(exact, before, kept[np.minimum(place[inside], len(kept) - 1)]) if len(kept) else before
        )
        span = stamps[after] - stamps[before]
        good = exact | (~ends & (span * S_PER_NS <= longest_gap))
        weight = (wanted[inside] - stamps[before]) / np.where(span > 0, span, 1)
        return cls(inside[good], before[good], after[good], weight[good])

    @property
    def exact(self) -> Array:
        result: Array = self.weight == 0.0
        return result

    def of(self, values: Array) -> Array:
        """The mix of `values` (T, ...)."""
        weight = self.weight.reshape(-1, *[1] * (values.ndim - 1))
        return np.where(
            weight == 0.0,
            values[self.before],
            (1.0 - weight) * values[self.before] + weight * values[self.after],
        )


def _blank(frames: int, joints: int, dims: int) -> dict[str, Any]:
    """The arrays of a sequence, stamps apart, in which everything is missing."""
    return {
        "xyz": np.full((frames, joints, dims), np.nan),
        "confidence": np.zeros((frames, joints)),
        "std": np.full((frames, joints), np.nan),
        "root_std": np.full((frames, dims), np.nan),
        "state": np.full((frames, joints), JointState.MISSING, np.uint8),
        "person_confidence": np.full(frames, np.nan),
    }


def _members(archive: Archive) -> dict[str, Any]:
    """The arguments of a PoseSequence, from its file."""
    header = json.loads(str(archive["header"]))
    if header["format"] != FORMAT:
        raise ValueError(f"its format is '{header['format']}', this program reads '{FORMAT}'")
    names = {name: header[name] for name in ("skeleton", "frame_id", "person", "metadata")}
    kinds = ARRAYS | ({COVARIANCE: np.float64} if COVARIANCE in archive else {})
    return names | {name: _exactly(archive[name], name, kind) for name, kind in kinds.items()}


def _exactly(array: Array, name: str, kind: type) -> Array:
    if array.dtype != kind:
        raise ValueError(f"'{name}' must hold {np.dtype(kind)}, got {array.dtype}")
    return array
