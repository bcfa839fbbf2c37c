"""Perspective-n-point with robust statistics: where points of known arrangement are, from the rays they are seen along.

A point j of the arrangement lies at

    x_j = exp(w) V X_j + t

with X_j its place about the root, t the root in the camera frame, V the camera's view turned towards the first guess of t (the
axes of X, see `lift3d_node.lifter.Shape`) and w a small rotation: as t moves, the view follows by w0(t) = G (t - first
guess), and the arrangement's own orientation may be wrong. Seen along the unit ray d_j it leaves the residual
e_j = B_j x_j / (d_j . x_j), the deviation across the ray in radians, which treats every lens and every place in the image
alike. Its variance is v_j tau: v_j is stated by the caller, tau common and unknown.

Residuals follow Student's t (Lange, Little & Taylor 1989, "Robust statistical modeling using the t distribution"): an
outlier loses its weight, where under soft L1 or Huber it keeps the pull of a moderate error. w has a normal prior about w0(t),
tau an inverse gamma prior about 1. The estimate is the maximum a posteriori over (w, t, tau), the minimum of

    sum_j (nu + 2) / 2 log(1 + |e_j|^2 / (nu tau v_j)) + n log tau + |w - w0(t)|^2 / (2 sigma^2) + nu0 / 2 (log tau + 1 / tau),

found by Newton steps with an analytic Jacobian. The tests hold it against scipy.optimize, whose least_squares with the same
Jacobian takes three times as long (33 joints: 2.1 against 0.7 ms) and knows tau only from outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lift3d_node.geometry import EYE, rotation_exp, view_rotation, view_slope

NU = 4.0
"""Degrees of freedom of the t distribution: the usual balance of efficiency and robustness (Lange et al.)."""

NU0 = 8.0
"""Weight of the stated variance against the observed one, in residuals: few points cannot claim to fit perfectly."""

MOST_BEND = 0.99
"""Share of a point's information along its residual that the bend of the loss may take away; all would be unstable."""

TINY = 1e-300
MAX_STEPS = 50
MAX_HALVINGS = 10
"""Of a step that does not lower the objective; after that it is as low as rounding lets it be."""

DECREMENT = 1e-6
"""Convergence: squared length of a step in standard deviations of the result (Newton decrement)."""

TAU_STEP = 1e-3
"""Convergence of log tau, which only weighs points against each other."""

RIDGE = 1e-12

TRUSTED = 1e-6
"""Radians: the deviation of w where the given orientation is trusted fully."""


@dataclass(frozen=True)
class Pose:
    """Solution of a problem."""

    position: np.ndarray  # (3,) t, metres
    rotation: np.ndarray  # (3, 3) exp(w) V: from the shape's axes to the camera's
    correction: np.ndarray  # (3,) w - w0(t), radians
    tau: float  # observed over stated variance
    covariance: np.ndarray  # (6, 6) of w and t
    steps: int
    converged: bool


@dataclass(frozen=True)
class _State:
    """Everything about one (w, t); columns as in `Problem`."""

    w: np.ndarray
    t: np.ndarray
    off: np.ndarray  # (3,) w - w0(t)
    rotation: np.ndarray  # (3, 3) exp(w) V
    slope: np.ndarray  # (3, 3) left Jacobian of exp at w
    turned: np.ndarray  # (3, 2n) points about the root, axes of the camera
    depth: np.ndarray  # (2n,) along the ray, metres
    residual: np.ndarray  # (2n,) radians
    q: np.ndarray  # (n,) squared residual over stated variance; infinite where a point is behind


class Problem:
    """`points` (n, 3) about the root in metres, seen along unit `rays` (n, 3) up to `variance` (n,) in radians squared.

    `guess` (3,): where the root is, roughly; all points are in front of the camera then. `rotation_std`: standard deviation
    of the points' orientation about each axis, radians.
    """

    def __init__(
        self,
        points: np.ndarray,
        rays: np.ndarray,
        variance: np.ndarray,
        guess: np.ndarray,
        rotation_std: float,
    ) -> None:
        self._n = len(points)
        self._variance = variance
        # Columns 0..n-1 are the first residual of each point, n..2n-1 the second: no loop over points, few calls.
        view = view_rotation(rays)
        self._across = np.concatenate([view[:, :, 0], view[:, :, 1]]).T
        self._rays = np.concatenate([rays, rays]).T
        self._points = np.concatenate([points, points]).T
        self._guess = guess
        self._view = view_rotation(guess / math.sqrt(guess @ guess))
        self._precision = 1.0 / max(rotation_std, TRUSTED) ** 2
        self._follow = np.concatenate([EYE, -view_slope(guess)], axis=1)
        self._prior = self._precision * self._follow.T @ self._follow

    def solve(self) -> Pose:
        """The most probable pose."""
        at = self._at(np.zeros(3), self._guess)
        tau = self._spread(at.q, 1.0, 20)
        steps, converged = 0, False
        while not converged and steps < MAX_STEPS:
            steps += 1
            hessian, gradient = self._newton(at, tau)
            change = -np.linalg.solve(hessian, gradient)
            at = self._descend(at, change, tau)
            before, tau = tau, self._spread(at.q, tau, 1)
            converged = -(gradient @ change) < DECREMENT and abs(math.log(tau / before)) < TAU_STEP
        return Pose(at.t, at.rotation, at.off, tau, self._covariance(at, tau), steps, converged)

    def cost(self, w: np.ndarray, t: np.ndarray, tau: float) -> float:
        """The objective of the module's docstring."""
        log_tau = math.log(tau)
        return self._cost(self._at(w, t), tau) + self._n * log_tau + 0.5 * NU0 * (log_tau + 1.0 / tau)

    def _at(self, w: np.ndarray, t: np.ndarray) -> _State:
        turn, slope = rotation_exp(w)
        rotation = turn @ self._view
        turned = rotation @ self._points
        x = turned + t[:, None]
        depth = np.einsum("in,in->n", self._rays, x)
        residual = np.einsum("in,in->n", self._across, x) / depth
        squared = residual * residual
        q = (squared[: self._n] + squared[self._n :]) / self._variance
        if depth.min() <= 0.0:
            q = np.full(self._n, np.inf)
        off = self._follow @ np.concatenate([w, t - self._guess])
        return _State(w, t, off, rotation, slope, turned, depth, residual, q)

    def _cost(self, at: _State, tau: float) -> float:
        """What of the objective depends on w and t."""
        fit = np.log1p(at.q / (NU * tau)).sum()
        return float((0.5 * NU + 1.0) * fit + 0.5 * self._precision * (at.off @ at.off))

    def _jacobian(self, at: _State) -> np.ndarray:
        """(6, 2n) derivatives of the residuals with w and t."""
        slope = (self._across - at.residual * self._rays) / at.depth  # with the point's position
        z = at.turned
        jacobian = np.empty((6, 2 * self._n))
        jacobian[0] = z[1] * slope[2] - z[2] * slope[1]
        jacobian[1] = z[2] * slope[0] - z[0] * slope[2]
        jacobian[2] = z[0] * slope[1] - z[1] * slope[0]
        jacobian[:3] = at.slope.T @ jacobian[:3]
        jacobian[3:] = slope
        return jacobian

    def _newton(self, at: _State, tau: float) -> tuple[np.ndarray, np.ndarray]:
        """Second derivatives (6, 6) and gradient (6,) of the objective with w and t, at fixed tau.

        Those of the loss are exact, weight (I - 2 e e' / (v (nu tau + q))), but kept positive; those of the projection are
        left out. Plain reweighting, without the second term, takes twice the steps.
        """
        spread = NU * tau + at.q
        weight = (NU + 2.0) / (spread * self._variance)
        bend = np.minimum(2.0 / spread, MOST_BEND / np.maximum(at.q, TINY)) / self._variance
        jacobian = self._jacobian(at)
        pull = jacobian * at.residual
        pull = pull[:, : self._n] + pull[:, self._n :]
        hessian = self._weighted(jacobian, weight) - (pull * (weight * bend)) @ pull.T + self._prior
        return hessian, pull @ weight + self._precision * (at.off @ self._follow)

    def _weighted(self, jacobian: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return (jacobian * np.concatenate([weight, weight])) @ jacobian.T

    def _descend(self, at: _State, change: np.ndarray, tau: float) -> _State:
        """The state after `change`, or after the first of its halves that does not raise the objective; else `at`."""
        cost = self._cost(at, tau)
        for _ in range(MAX_HALVINGS):
            new = self._at(at.w + change[:3], at.t + change[3:])
            if self._cost(new, tau) <= cost:
                return new
            change = change / 2.0
        return at

    def _spread(self, q: np.ndarray, tau: float, steps: int) -> float:
        """The best tau for squared residuals q, by Newton's method on log tau."""
        for _ in range(steps):
            r = NU * tau / (NU * tau + q)
            excess = (NU + 2.0) * (1.0 - r).sum() - 2.0 * self._n + NU0 / tau - NU0
            change = excess / ((NU + 2.0) * (r - r * r).sum() + NU0 / tau)
            tau *= math.exp(min(max(change, -1.0), 1.0))
            if abs(change) < TAU_STEP:
                break
        return tau

    def _covariance(self, at: _State, tau: float) -> np.ndarray:
        """Inverse of the information at the solution.

        In two dimensions, t residuals tell (nu + 2) / (nu + 4) of what normal ones of variance tau would; and of the
        residuals that tau is estimated from, the fit has used up six.
        """
        share = (NU + 2.0) / (NU + 4.0) * (1.0 - 6.0 / (2.0 * self._n + NU0))
        weight = share * (NU + 2.0) / ((NU * tau + at.q) * self._variance)
        return np.linalg.inv(self._weighted(self._jacobian(at), weight) + self._prior)


def linear_position(points: np.ndarray, rays: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Position (3,) that fits unit `rays` (n, 3) in the weighted least squares sense, in metres across the rays.

    `points` (n, 3) as in `Problem`, their axes turned towards the position, hence three rounds. It may lie behind the camera.
    """
    weighted = rays * weight[:, None]
    # The ridge is below any noise; it keeps rays that are all alike from dividing by zero.
    inverse = np.linalg.inv((1.0 + RIDGE) * weight.sum() * EYE - weighted.T @ rays)
    # sum_j w_j (I - d_j d_j') V X_j, as a matrix on the elements of V.
    along = (rays[:, :, None] * weighted[:, None, :]).reshape(-1, 9).T @ points
    across = EYE[:, :, None] * (weight @ points) - along.reshape(3, 3, 3)
    shift = -inverse @ across.reshape(3, 9)
    position = weight @ rays
    for _ in range(3):
        position = shift @ view_rotation(position / math.sqrt(position @ position)).ravel()
    return position
