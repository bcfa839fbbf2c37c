"""Refiners that filter the root and the joints about it separately.

A single camera sees the pose far better than how far away the person is: the root's error along the depth is many
times that of the joints about the root, and it is common to all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from pose_core.geometry import covariance as covariances
from pose_core.people import JointState, Person3D
from pose_core.units import S_PER_NS
from refine_node.refiner import Refiner

ASTRAY = 0.2
"""Metres along an axis by which the hips may put the root elsewhere than the rest of the body does: between two images a body
bends by less, and a hip that is seen in the wrong place would carry all of the body with it."""

JOINT_REACH = 0.3
"""Metres by which noise alone may move a joint about the root."""
JOINT_LIMIT = 25.0
"""Metres per second about the root that no joint reaches: the foot of a hard kick has some 20."""


@dataclass(frozen=True)
class Split:
    """A person taken apart, metres; NaN where unknown. `xyz` = `relative` + `root`."""

    root: np.ndarray  # (3,)
    root_std: np.ndarray  # (3,)
    relative: np.ndarray  # (J, 3)
    std: np.ndarray  # (J,)
    velocity: np.ndarray = field(
        default_factory=lambda: np.full(3, np.nan)
    )  # (3,) of the root, metres per second
    velocity_std: np.ndarray = field(default_factory=lambda: np.full(3, np.nan))  # (3,)


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
    for the first time the mean of the joints stands in for it. A root that is `ASTRAY` counts as not seen, until as many frames
    agree on it as a jump takes; so does a joint that has gone farther than `JOINT_LIMIT` allows.
    """

    def reset(self) -> None:
        self._frames: deque[Frame] = deque(maxlen=self.params.look_ahead + 1)
        self._rooted = False
        self._astray = 0
        joints = len(self.skeleton)
        self._believed, self._believed_at = np.full((joints, 3), np.nan), np.zeros(joints, np.int64)
        """(J, 3) metres and (J,) ns: where joints about the root were when they last were where they could be."""
        self._leaps = np.zeros(joints, int)
        """(J,) for how many frames each joint has been where it cannot be."""
        self._covariance: np.ndarray | None = None
        """(J, 6) of each joint when it was last measured; None as long as nobody stated any."""

    def refine(self, person: Person3D, stamp: int) -> Person3D:
        root = self._root(person, stamp)
        relative = self._without_leaps(person.xyz - root, stamp)
        measured = Split(root, person.root_std, relative, person.std)
        estimate, used = self._update(measured, person, stamp)
        self._frames.append(Frame(stamp, person, measured, estimate, used))
        self._remember(person.covariance, used)
        known = ~np.isnan(estimate.relative[:, 0])
        state = np.where(used, person.state, np.where(known, JointState.PREDICTED, JointState.MISSING))
        return _together(person, estimate, state, self._covariance)

    def _remember(self, covariance: np.ndarray | None, used: np.ndarray) -> None:
        """Note the shape (J, 6) of the doubt in those joints (J,) whose measurement was used."""
        if covariance is None:
            self._covariance = None
        elif self._covariance is None:
            self._covariance = np.where(used[:, None], covariance, np.nan)
        else:
            self._covariance = np.where(used[:, None], covariance, self._covariance)

    def _without_leaps(self, relative: np.ndarray, stamp: int) -> np.ndarray:
        """Joints about the root (J, 3), NaN where they cannot have gone since they were last believed."""
        gone = relative - self._believed
        reach = JOINT_REACH + JOINT_LIMIT * S_PER_NS * np.abs(stamp - self._believed_at)
        gated = self._rooted and self.params.joint_gate > 0.0
        leaps = gated & (np.einsum("ji,ji->j", gone, gone) > reach * reach)
        self._leaps = np.where(leaps, self._leaps + 1, 0)
        leaps &= self._leaps < self.params.gate_frames
        seen = ~leaps & ~np.isnan(relative[:, 0])
        self._believed = np.where(seen[:, None], relative, self._believed)
        self._believed_at = np.where(seen, stamp, self._believed_at)
        return np.where(leaps[:, None], np.nan, relative)

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
        person = _together(frame.person, estimate, state, self._covariance_at(frame))
        return replace(person, joint_confidence=np.where(frame.used, person.joint_confidence, 0.0))

    def predict(self, stamp: int) -> Person3D | None:
        if not self._frames:
            return None
        estimate = self._ahead(stamp)
        known = ~np.isnan(estimate.relative[:, 0])
        state = np.where(known, JointState.PREDICTED, JointState.MISSING)
        return _together(self._frames[-1].person, estimate, state, self._covariance)

    def _covariance_at(self, frame: Frame) -> np.ndarray | None:
        """(J, 6) as measured in one of the last frames; of joints that it did not show, as known now."""
        measured = frame.person.covariance
        if measured is None or self._covariance is None:
            return measured
        return np.where(frame.used[:, None], measured, self._covariance)

    def _root(self, person: Person3D, stamp: int) -> np.ndarray:
        """(3,) the root of `person`, measured or inferred."""
        root = self.skeleton.root_of(person.xyz)
        if np.isfinite(root).all():
            if not self._rooted:
                self.reset()
                self._rooted = True
            elif self._frames and _apart(root, self._frames[-1].estimate.root):
                expected = self._ahead(stamp)
                there = _median_root(person, expected)
                if _apart(root, there) and self._astray < self.params.gate_frames:
                    self._astray += 1
                    return there
            self._astray = 0
            return root
        if self._frames:
            expected = self._ahead(stamp)
            there = _median_root(person, expected)
            if not np.isnan(there).any():
                return there
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


def _median_root(person: Person3D, expected: Split) -> np.ndarray:
    """(3,) where most joints put the root, given the pose that is expected; NaN where none is known."""
    offsets = person.xyz - expected.relative
    offsets = offsets[~np.isnan(offsets[:, 0])]
    return np.median(offsets, axis=0) if len(offsets) else np.full(3, np.nan)


def _apart(root: np.ndarray, other: np.ndarray) -> bool:
    """Whether two places (3,) of the root are `ASTRAY`; not where one is unknown."""
    return bool((np.abs(root - other) > ASTRAY).any())


def _together(
    person: Person3D, estimate: Split, state: np.ndarray, covariance: np.ndarray | None
) -> Person3D:
    """The estimate as a person; its doubt has the shape of `covariance` (J, 6)."""
    missing = state == JointState.MISSING
    std = np.where(missing, np.nan, estimate.std)
    return replace(
        person,
        xyz=np.where(missing[:, None], np.nan, estimate.relative + estimate.root),
        std=std,
        covariance=None if covariance is None else covariances.carried_on(covariance, std),
        root_std=estimate.root_std,
        root_velocity=estimate.velocity,
        root_velocity_std=estimate.velocity_std,
        joint_confidence=np.where(missing, 0.0, person.joint_confidence),
        state=state.astype(np.uint8),
    )
