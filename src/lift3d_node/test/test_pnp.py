from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from lift3d_node.geometry import view_rotation
from lift3d_node.placing.pnp import NU, NU0, Problem, linear_position

VARIANCE = 0.01**2
DEGREE = np.pi / 180.0


def points(n: int = 33, seed: int = 0) -> np.ndarray:
    """A cloud as large as a person."""
    return np.random.default_rng(seed).normal(size=(n, 3)) * (0.25, 0.5, 0.2)


def seen(x: np.ndarray, noise: float = 0.0, rng: np.random.Generator | None = None) -> np.ndarray:
    """Rays (n, 3) to points, turned by normal angles of deviation `noise` across them."""
    rays = x / np.linalg.norm(x, axis=1, keepdims=True)
    if rng is None:
        return rays
    across = view_rotation(rays)[:, :, :2]
    rays = rays + np.einsum("nik,nk->ni", across, noise * rng.normal(size=(len(x), 2)))
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def placed(
    cloud: np.ndarray, root: np.ndarray, w: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> np.ndarray:
    view = view_rotation(root / np.linalg.norm(root))
    return cloud @ (Rotation.from_rotvec(w).as_matrix() @ view).T + root


ROOTS = [
    (0.0, 0.0, 4.0),
    (1.5, -0.5, 3.0),
    (-2.0, 1.0, 2.0),
    (0.2, 0.1, 1.5),
    (10.0, -3.0, 40.0),
    (3.0, 0.0, 0.8),
]


@pytest.mark.parametrize("root", ROOTS)
def test_exact_rays_give_the_exact_pose(root) -> None:
    cloud, root = points(), np.array(root)
    if np.linalg.norm(root) < 2.0:
        cloud = cloud * 0.3
    rays = seen(placed(cloud, root))
    pose = Problem(
        cloud, rays, np.full(33, VARIANCE), linear_position(cloud, rays, np.ones(33)), 10 * DEGREE
    ).solve()
    assert pose.converged
    np.testing.assert_allclose(pose.position, root, atol=1e-6)
    np.testing.assert_allclose(pose.rotation, view_rotation(root / np.linalg.norm(root)), atol=1e-6)
    np.testing.assert_allclose(pose.correction, 0.0, atol=1e-6)


@pytest.mark.parametrize("w", [(0.5, 0.0, 0.0), (0.0, -0.7, 0.0), (0.3, 0.3, -0.5)])
def test_a_wrong_orientation_is_found_where_it_may_be_wrong(w) -> None:
    cloud, root = points(), np.array([0.5, 0.2, 3.0])
    turned = Rotation.from_rotvec(w).as_matrix() @ view_rotation(root / np.linalg.norm(root))
    rays = seen(placed(cloud, root, w))
    guess = linear_position(cloud, rays, np.ones(33))
    free = Problem(cloud, rays, np.full(33, VARIANCE), guess, 1e3).solve()
    np.testing.assert_allclose(free.position, root, atol=1e-6)
    np.testing.assert_allclose(free.rotation, turned, atol=1e-6)
    np.testing.assert_allclose(free.correction, w, atol=0.05)
    trusted = Problem(cloud, rays, np.full(33, VARIANCE), guess, 0.0).solve()
    np.testing.assert_allclose(trusted.correction, 0.0, atol=1e-6)
    assert trusted.tau > 10 * free.tau


def test_linear_position_is_exact_for_known_axes() -> None:
    cloud, root = points(), np.array([1.0, -0.5, 3.0])
    rays = seen(placed(cloud, root))
    np.testing.assert_allclose(linear_position(cloud, rays, np.ones(33)), root, atol=0.01)
    on_axis = np.array([0.0, 0.0, 3.0])
    rays = seen(placed(cloud - cloud.mean(0), on_axis))
    np.testing.assert_allclose(linear_position(cloud - cloud.mean(0), rays, np.ones(33)), on_axis, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [6, 33])
def test_solution_is_the_minimum_that_scipy_finds(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    cloud, root = points(n, seed), np.array([0.5, 0.3, 3.5])
    rays = seen(placed(cloud, root, tuple(0.05 * rng.normal(size=3))), 0.015, rng)
    rays[0] = seen(placed(cloud, root) + 0.4)[0]
    problem = Problem(
        cloud, rays, np.full(n, VARIANCE), linear_position(cloud, rays, np.ones(n)), 10 * DEGREE
    )
    pose = problem.solve()

    def objective(p: np.ndarray) -> float:
        return problem.cost(p[:3], p[3:6], float(np.exp(p[6])))

    start = np.concatenate([np.zeros(3), root, [np.log(pose.tau)]])
    best = minimize(objective, start, method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(pose.position, best.x[3:6], atol=3e-4)
    assert np.log(pose.tau) == pytest.approx(best.x[6], abs=0.01)
    w = Rotation.from_matrix(pose.rotation @ problem._view.T).as_rotvec()
    assert problem.cost(w, pose.position, pose.tau) <= best.fun + 1e-5


def test_objective_is_the_one_that_is_documented() -> None:
    """Two points straight ahead at 2 m, one seen 0.02 rad off: all terms by hand."""
    cloud = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    rays = seen(np.array([[0.0, np.tan(0.02) * 2.0, 2.0], [0.5, 0.0, 2.0]]))
    problem = Problem(cloud, rays, np.full(2, VARIANCE), np.array([0.0, 0.0, 2.0]), 0.1)
    tau = 1.5
    q = np.tan(0.02) ** 2 / VARIANCE
    expected = (NU + 2) / 2 * np.log(1 + q / (NU * tau)) + 2 * np.log(tau) + NU0 / 2 * (np.log(tau) + 1 / tau)
    assert problem.cost(np.zeros(3), np.array([0.0, 0.0, 2.0]), tau) == pytest.approx(expected)
    w = np.array([0.0, 0.0, 1e-4])
    turned = np.arctan2(0.5 * np.sin(1e-4), np.hypot(0.5 * np.cos(1e-4), 2.0)) ** 2 / VARIANCE
    added = (NU + 2) / 2 * np.log(1 + turned / (NU * tau)) + 0.5 * (1e-4 / 0.1) ** 2
    assert problem.cost(w, np.array([0.0, 0.0, 2.0]), tau) == pytest.approx(expected + added, rel=1e-9)


def test_covariance_is_that_of_repeated_trials() -> None:
    rng = np.random.default_rng(3)
    cloud, root = points(), np.array([0.8, -0.3, 3.5])
    x = placed(cloud, root)
    deviation = np.where(np.arange(33) % 2, 0.008, 0.02)
    errors, stated = [], []
    for _ in range(250):
        w = 5 * DEGREE * rng.normal(size=3)
        x = placed(cloud, root, tuple(w))
        rays = seen(x)
        across = view_rotation(rays)[:, :, :2]
        rays = rays + np.einsum("nik,nk->ni", across, deviation[:, None] * rng.normal(size=(33, 2)))
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        guess = linear_position(cloud, rays, np.ones(33))
        pose = Problem(cloud, rays, deviation**2, guess, 5 * DEGREE).solve()
        errors.append(np.concatenate([pose.correction - w, pose.position - root]))
        stated.append(np.diag(pose.covariance))
    ratio = np.sqrt(np.mean(stated, axis=0)) / np.std(errors, axis=0)
    assert ((ratio > 0.7) & (ratio < 1.4)).all(), ratio
    assert abs(np.mean(errors, axis=0)[3:] / np.std(errors, axis=0)[3:]).max() < 0.3


def test_variance_that_is_stated_wrong_is_found() -> None:
    rng = np.random.default_rng(5)
    cloud, root = points(200), np.array([0.0, 0.0, 4.0])
    rays = seen(placed(cloud, root), 0.02, rng)
    taus = [
        Problem(cloud, rays, np.full(200, v), root, 10 * DEGREE).solve().tau
        for v in (VARIANCE, VARIANCE / 4.0)
    ]
    assert taus[1] == pytest.approx(4.0 * taus[0], rel=0.05)


def test_outliers_do_not_pull() -> None:
    """10 percent of the points far off move a redescending estimate by a fraction of what they move least squares."""
    rng = np.random.default_rng(1)
    cloud, root = points(), np.array([0.0, 0.0, 4.0])
    rays = seen(placed(cloud, root), 0.003, rng)
    rays[:3] = seen(placed(cloud, root)[:3] + np.array([0.8, 0.6, 0.0]))
    guess = linear_position(cloud, rays, np.ones(33))
    pose = Problem(cloud, rays, np.full(33, VARIANCE), guess, 10 * DEGREE).solve()
    assert np.linalg.norm(guess[:2] - root[:2]) > 0.05
    assert np.linalg.norm(pose.position - root) < 0.02


def test_shuffled_points_give_the_same() -> None:
    rng = np.random.default_rng(2)
    cloud, root = points(), np.array([0.4, 0.1, 3.0])
    rays = seen(placed(cloud, root), 0.01, rng)
    order = rng.permutation(33)
    guess = linear_position(cloud, rays, np.ones(33))
    poses = [
        Problem(cloud[o], rays[o], np.full(33, VARIANCE), guess, 10 * DEGREE).solve()
        for o in (np.arange(33), order)
    ]
    np.testing.assert_allclose(poses[0].position, poses[1].position, atol=1e-9)


def test_rays_that_are_all_alike_never_raise() -> None:
    ray = np.tile([[0.0, 0.0, 1.0]], (8, 1))
    assert np.isfinite(linear_position(points(8), ray, np.ones(8))).all()
