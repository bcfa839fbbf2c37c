"""Joints from the directions of limbs: where on its camera ray each joint is, by linear least squares.

A joint j lies at p_j = d_j r_j + s_j, on the ray r_j it is seen along up to the slack s_j across it; a limb l of known length
L_l and direction u_l leads from joint a to joint b. The solution is the minimum of

    sum_l w_l |p_b - p_a - L_l u_l|^2 + sum_j (c_j / slack^2) |(I - r_j r_j') p_j|^2,

with weights w of limbs and c of joints; without slack, seen joints stay on their rays and only the depths d are free. A joint
that is not seen has no second term: its limbs alone place it. Everything is linear in p, and p in the lengths, whose unit
gives the scale. The whole person is solved at once, so that a limb's wrong direction bends its neighbours only as far as their
own directions allow, and the distance to the camera follows from the angular size.

Where all seen rays of joints that hang together by limbs are parallel, their distance cannot be told: NaN. Computed in double
precision throughout: the distance is a small difference of rays, which single precision would lose.

The same code runs on NumPy arrays and on torch tensors, where it is differentiable.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from lift3d_node.learned.limbs import EDGES, JOINTS, LIMBS

Array = Any
"""numpy.ndarray or torch.Tensor; all arrays of one call are of one kind."""

MIN_SPREAD = 1e-3
"""Radians: root mean square angle of a person's rays about their mean below which the distance cannot be told. A body
fills as little only beyond 300 m."""

OUTLIER = 0.08
"""Of the mean length of the limbs (3 cm for adults): how far off its ray a joint's keypoint loses half its weight."""

N, M = len(JOINTS), len(LIMBS)

_ZERO, _EYE, _SELF = np.zeros(()), np.eye(3), np.eye(N)
_ENDS = np.zeros((M, N))
_ENDS[np.arange(M), EDGES[:, 0]] = -1.0
_ENDS[np.arange(M), EDGES[:, 1]] = 1.0
_PRODUCTS = (_ENDS[:, :, None] * _ENDS[:, None, :]).reshape(M, N * N)
_PARENTS = EDGES[:, 0].tolist()
_DIAGONAL = np.eye(N)[:, None, :, None]


@dataclass(frozen=True)
class Solution:
    """Joints and what they leave unexplained; NaN for joints that could not be placed."""

    joints: Array
    """(..., 12, 3) `limbs.JOINTS` in the axes of the rays and the unit of the lengths."""
    residual: Array
    """(..., 14, 3) child minus parent minus length times direction; NaN where the limb or an end of it is missing."""
    off_ray: Array
    """(..., 12, 3) s: from the nearest point of its ray to the joint; NaN where the joint is not seen or not placed."""


def solve(
    directions: Array,
    rays: Array,
    lengths: Array,
    limb_weights: Array | None = None,
    joint_weights: Array | None = None,
    slack: float = 0.0,
    rounds: int = 0,
) -> Solution:
    """Places the joints of people.

    `directions` (..., 14, 3): unit vectors as in `limbs.LIMBS`; `rays` (..., 12, 3) of any length to the joints of
    `limbs.JOINTS`, in the same axes; `lengths` (..., 14). Leading axes broadcast. What is NaN, or has no positive weight, is
    missing. `limb_weights` (..., 14) and `joint_weights` (..., 12): inverse variances up to a common factor, 1 where None.
    `slack`: standard deviation of a joint of weight 1 across its ray over that of the end of a limb of weight 1; with 0 seen
    joints stay on their rays, whatever their weight. `rounds`: how often to solve again with less weight on joints far off their
    rays, against keypoints that are plainly wrong (slack 0.3 and 4 rounds nearly halve the error that one of them makes).

    A person with a seen joint behind the camera is refused: all NaN.

    Raises ValueError for wrong shapes, negative slack or rounds, and rounds without slack.
    """
    if rounds < 0:
        raise ValueError(f"rounds must not be negative, got {rounds}")
    if rounds and slack == 0.0:
        raise ValueError(
            f"rounds need slack, because without it no joint leaves its ray; got {rounds} rounds and slack 0"
        )
    system = _System(directions, rays, lengths, limb_weights, joint_weights, slack)
    solution = system.solution(system.lengths)
    for _ in range(rounds):
        solution = system.solution(system.lengths, system.trust(solution))
    return solution


NEGLIGIBLE = 1e-9
"""Weight of a joint, as a share of that of all limbs together, up to which it counts as not seen."""


class _System:
    """The normal equations of people, A p = G L: A (..., 36, 36) and G (..., 36, 14)."""

    def __init__(
        self,
        directions: Array,
        rays: Array,
        lengths: Array,
        limb_weights: Array | None,
        joint_weights: Array | None,
        slack: float,
    ) -> None:
        _check(directions, "directions", (M, 3))
        _check(rays, "rays", (N, 3))
        _check(lengths, "lengths", (M,))
        if not slack >= 0.0:
            raise ValueError(f"slack must not be negative, got {slack}")
        self._xp = xp = np if isinstance(rays, np.ndarray) else sys.modules["torch"]
        directions, rays, lengths = (self._double(x) for x in (directions, rays, lengths))
        w = self._weights(limb_weights, "limb_weights", M, rays)
        c = self._weights(joint_weights, "joint_weights", N, rays)
        eye = self._constant(_EYE, rays)
        known = xp.isfinite(directions).all(-1) & xp.isfinite(lengths) & (w > 0.0)
        # What is missing gets harmless numbers here, so that neither values nor gradients of the rest turn NaN.
        rays = xp.where(xp.isfinite(rays).all(-1)[..., None], rays, 0.0)
        size = xp.einsum("...i,...i->...", rays, rays)
        # A ray that weighs next to nothing would hold its joint, and by it the body, no better than rounding does.
        self.seen = (size > 0.0) & (c > NEGLIGIBLE * w.sum(-1)[..., None])
        self._w = xp.where(known, w, 0.0)
        self._u = xp.where(known[..., None], directions, 0.0)
        self.lengths = xp.where(known, lengths, 0.0)
        size = xp.where(self.seen, size, 1.0)
        self._r = xp.where(self.seen[..., None], rays, 0.0) / xp.sqrt(size)[..., None]
        self._ends = self._constant(_ENDS, rays)

        laplacian = self._w @ self._constant(_PRODUCTS, rays)
        laplacian = laplacian.reshape(*laplacian.shape[:-1], N, N)
        self.placed = self._determined(laplacian)
        self._known = known & self.placed[..., _PARENTS]
        along = self._r[..., :, None] * self._r[..., None, :]
        # The subspace that each joint is free in: its ray, all of space, or nothing where it cannot be placed.
        free = xp.where(self.seen[..., None, None], along, eye) if slack == 0.0 else eye
        self._free = xp.where(self.placed[..., None, None], free, 0.0)
        self._held = eye - self._free
        self._across = None
        if slack > 0.0:
            across = xp.where((self.seen & self.placed)[..., None, None], eye - along, 0.0)
            self._across = (xp.where(self.seen, c, 0.0) / slack**2)[..., None, None] * across
        stacked = self._free.reshape(*self._free.shape[:-3], 3 * N, 3)
        blocks = (stacked @ xp.swapaxes(stacked, -1, -2)).reshape(*stacked.shape[:-2], N, 3, N, 3)
        self._coupled = blocks * laplacian[..., :, None, :, None]

    def matrix(self, trust: Array | None = None) -> Array:
        """A (..., 36, 36), each joint's weight times `trust` (..., 12)."""
        own = self._held
        if self._across is not None:
            own = own + (self._across if trust is None else trust[..., None, None] * self._across)
        matrix = self._coupled + own[..., :, :, None, :] * self._constant(_DIAGONAL, own)
        return matrix.reshape(*matrix.shape[:-4], 3 * N, 3 * N)

    def trust(self, solution: Solution) -> Array:
        """(..., 12) factor 1 / (1 + q^2) of each joint's weight (Cauchy's) for being q times OUTLIER off its ray."""
        xp = self._xp
        count = (self.lengths > 0.0).sum(-1)
        scale = OUTLIER * self.lengths.sum(-1) / xp.where(count > 0, count, 1)
        off = (
            xp.where(xp.isnan(solution.off_ray), 0.0, solution.off_ray)
            / xp.where(scale > 0.0, scale, 1.0)[..., None, None]
        )
        return 1.0 / (1.0 + xp.einsum("...ji,...ji->...j", off, off))

    def solution(self, lengths: Array, trust: Array | None = None) -> Solution:
        """The joints for limbs of `lengths` (..., 14)."""
        xp = self._xp
        limbs = xp.where(self._known, lengths, 0.0)[..., None] * self._u
        pull = xp.swapaxes(self._ends, -1, -2) @ (self._w[..., None] * limbs)
        pull = xp.einsum("...jik,...jk->...ji", self._free, pull)
        joints = xp.linalg.solve(self.matrix(trust), pull.reshape(*pull.shape[:-2], 3 * N, 1))
        joints = joints.reshape(*joints.shape[:-2], N, 3)
        depth = xp.einsum("...ji,...ji->...j", self._r, joints)
        sound = ~(self.seen & self.placed & (depth <= 0.0)).any(-1)[..., None] & self.placed
        residual = self._ends @ joints - limbs
        off_ray = joints - depth[..., None] * self._r
        return Solution(
            xp.where(sound[..., None], joints, xp.nan),
            xp.where((sound[..., _PARENTS] & self._known)[..., None], residual, xp.nan),
            xp.where((sound & self.seen)[..., None], off_ray, xp.nan),
        )

    def _determined(self, laplacian: Array) -> Array:
        """(..., 12) which joints hang together with seen ones along rays that are not all parallel."""
        xp = self._xp
        zero = self._constant(_ZERO, laplacian)
        linked = xp.where(laplacian != 0.0, 1.0, self._constant(_SELF, laplacian))
        for _ in range((N - 1).bit_length()):
            linked = xp.where(linked @ linked > 0.0, 1.0, zero)
        count = linked @ xp.where(self.seen, 1.0, zero)[..., None]
        mean = (linked @ self._r) / xp.where(count > 0.0, count, 1.0)
        spread = 1.0 - xp.einsum("...ji,...ji->...j", mean, mean)
        return (count[..., 0] > 0.0) & (spread > MIN_SPREAD**2)

    def _weights(self, weights: Array | None, name: str, count: int, like: Array) -> Array:
        if weights is None:
            return self._constant(np.ones(count), like)
        _check(weights, name, (count,))
        return self._double(weights)

    def _double(self, array: Array) -> Array:
        return np.asarray(array, float) if self._xp is np else array.double()

    def _constant(self, array: np.ndarray, like: Array) -> Array:
        return array if self._xp is np else like.new_tensor(array)


def _check(array: Array, name: str, shape: tuple[int, ...]) -> None:
    if tuple(array.shape[-len(shape) :]) != shape:
        wanted = ", ".join(map(str, ("...", *shape)))
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(array.shape)}")
