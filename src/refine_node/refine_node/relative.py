"""Refiners that filter the root and the joints about it separately.

A single camera sees the pose far better than how far away the person is: the root's error along the depth is many
times that of the joints about the root, and it is common to all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from pose_core.people import JointState, Person3D
from refine_node.refiner import Refiner


@dataclass(frozen=True)
class Split:
    """A person taken apart, metres; NaN where unknown. `xyz` = `relative` + `root`."""

    root: np.ndarray  # (3,)
    root_std: np.ndarray  # (3,)
    relative: np.ndarray  # (J, 3)
    std: np.ndarray  # (J,)


@dataclass
class Frame:
    """One of the last frames; a refiner may replace the estimate when later frames tell more."""

    stamp: int
    person: Person3D
    measured: Split
    estimate: Split
    used: np.ndarray  # (J,) joints whose measurement was used


class RootRelativeRefiner(Refiner):
    """Takes a person apart, leaves the filtering to `_update` and `_ahead`, and puts them together again.

    In a frame without the root (a hip is missing) the root is where the median of the other joints puts it, given the
    pose about it that is expected; where none of them is known yet, where it is expected itself. Until the root is seen
    for the first time the mean of the joints stands in for it.
    """

    def reset(self) -> None:
        self._frames: deque[Frame] = deque(maxlen=self.params.look_ahead + 1)
        self._rooted = False

    def refine(self, person: Person3D, stamp: int) -> Person3D:
        root = self._root(person, stamp)
        measured = Split(root, person.root_std, person.xyz - root, person.std)
        estimate, used = self._update(measured, person, stamp)
        self._frames.append(Frame(stamp, person, measured, estimate, used))
        known = ~np.isnan(estimate.relative[:, 0])
        state = np.where(used, person.state, np.where(known, JointState.PREDICTED, JointState.MISSING))
        return _together(person, estimate, state)

    def recall(self, stamp: int) -> Person3D | None:
        place = next((i for i, frame in enumerate(self._frames) if frame.stamp == stamp), None)
        if place is None:
            return None
        frame, later = self._frames[place], list(self._frames)[place + 1 :]
        estimate = self._smoothed(len(later))
        known = ~np.isnan(estimate.relative[:, 0])
        between = np.any([other.used for other in later], axis=0) if later else np.zeros_like(known)
        inferred = np.where(between, JointState.INTERPOLATED, JointState.PREDICTED)
        state = np.where(frame.used, frame.person.state, np.where(known, inferred, JointState.MISSING))
        person = _together(frame.person, estimate, state)
        return replace(person, joint_confidence=np.where(frame.used, person.joint_confidence, 0.0))

    def predict(self, stamp: int) -> Person3D | None:
        if not self._frames:
            return None
        estimate = self._ahead(stamp)
        known = ~np.isnan(estimate.relative[:, 0])
        state = np.where(known, JointState.PREDICTED, JointState.MISSING)
        return _together(self._frames[-1].person, estimate, state)

    def _root(self, person: Person3D, stamp: int) -> np.ndarray:
        """(3,) the root of `person`, measured or inferred."""
        root = self.skeleton.root_of(person.xyz)
        if np.isfinite(root).all():
            if not self._rooted:
                self.reset()
                self._rooted = True
            return root
        if self._frames:
            expected = self._ahead(stamp)
            offsets = person.xyz - expected.relative
            offsets = offsets[~np.isnan(offsets[:, 0])]
            if len(offsets):
                return np.median(offsets, axis=0)
            if not np.isnan(expected.root).any():
                return expected.root
        seen = person.xyz[~np.isnan(person.xyz[:, 0])]
        return seen.mean(0) if len(seen) else np.full(3, np.nan)

    @abstractmethod
    def _update(self, measured: Split, person: Person3D, stamp: int) -> tuple[Split, np.ndarray]:
        """The estimate after a measurement, and a mask (J,) of the joints whose measurement was used."""

    @abstractmethod
    def _ahead(self, stamp: int) -> Split:
        """What is expected at `stamp`, after at least one `_update`; changes nothing."""

    def _smoothed(self, back: int) -> Split:
        """The estimate of the frame `back` frames before the latest, in the light of all since; changes nothing."""
        return self._frames[-1 - back].estimate


def _together(person: Person3D, estimate: Split, state: np.ndarray) -> Person3D:
    missing = state == JointState.MISSING
    return replace(
        person,
        xyz=np.where(missing[:, None], np.nan, estimate.relative + estimate.root),
        std=np.where(missing, np.nan, estimate.std),
        root_std=estimate.root_std,
        joint_confidence=np.where(missing, 0.0, person.joint_confidence),
        state=state.astype(np.uint8),
    )
