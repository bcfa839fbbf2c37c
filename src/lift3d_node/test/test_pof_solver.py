from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear, minimize
from scipy.spatial.transform import Rotation

from lift3d_node.learned import limbs
from lift3d_node.learned.pof_solver import MIN_SPREAD, Solution, solve
from pose_core.skeleton import COCO17, MEDIAPIPE33

ROWS = MEDIAPIPE33.indices(*limbs.JOINTS)
WRIST = limbs.JOINTS.index("left_wrist")
TO_WRIST = limbs.NAMES.index("left_elbow-left_wrist")


class Case(NamedTuple):
    """The exact arguments for a person, and where their joints are."""

    joints: np.ndarray
    directions: np.ndarray
    rays: np.ndarray
    lengths: np.ndarray

    def solve(self, **kwargs) -> Solution:
        return solve(self.directions, self.rays, self.lengths, **kwargs)


def case_of(joints: np.ndarray) -> Case:
    xyz = np.full((*joints.shape[:-2], 17, 3), np.nan)
    xyz[..., COCO17.indices(*limbs.JOINTS), :] = joints
    rays = joints / joints[..., 2:]
    return Case(joints, limbs.directions(xyz, COCO17), rays, limbs.lengths(xyz, COCO17))


def people(seed: int, count: int = 1, distance: float = 4.0) -> Case:
    """People of any pose whatever, all of them in front of the camera."""
    rng = np.random.default_rng(seed)
    joints = rng.uniform(-0.8, 0.8, (count, 12, 3)) + rng.uniform(-0.5, 0.5, (count, 1, 3))
    return case_of(joints + np.array([0.0, 0.0, distance]))


@pytest.fixture
def person(scene) -> Case:
    return case_of(scene().xyz[ROWS])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(2.0, 30.0), st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_exact_directions_and_lengths_give_the_pose_back(seed: int, distance: float, slack: float) -> None:
    case = people(seed, distance=distance)
    found = case.solve(slack=slack)
    np.testing.assert_allclose(found.joints, case.joints, atol=1e-9)
    np.testing.assert_allclose(found.residual, 0.0, atol=1e-9)
    np.testing.assert_allclose(found.off_ray, 0.0, atol=1e-9)


def test_the_distance_to_the_camera_follows_from_the_lengths(scene) -> None:
    case = case_of(scene((0.3, 0.1, 4.0)).xyz[ROWS])
    twice = solve(case.directions, case.rays, 2.0 * case.lengths).joints
    np.testing.assert_allclose(twice, 2.0 * case.joints, atol=1e-9)
    hips = [limbs.JOINTS.index(f"{side}_hip") for side in ("left", "right")]
    np.testing.assert_allclose(case.solve().joints[hips].mean(0), (0.3, 0.1, 4.0), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100.0), st.sampled_from([0.0, 0.3]))
def test_scale_turn_length_of_rays_and_factor_of_weights(seed: int, scale: float, slack: float) -> None:
    """None of the four changes more than the unit or the axes, with arguments that do not fit each other too."""
    case = people(seed, distance=6.0)
    rng = np.random.default_rng(seed)
    w, c = rng.uniform(0.2, 1.0, (1, 14)), rng.uniform(0.2, 1.0, (1, 12))
    lengths = case.lengths * rng.uniform(0.9, 1.1, (1, 14))
    turn = Rotation.from_euler("xyz", rng.uniform(-0.3, 0.3, 3)).as_matrix()
    before = solve(case.directions, case.rays, lengths, w, c, slack)
    factors = rng.uniform(0.1, 10.0, (1, 12, 1))
    after = solve(
        case.directions @ turn.T, factors * case.rays @ turn.T, scale * lengths, 7.0 * w, 7.0 * c, slack
    )
    np.testing.assert_allclose(after.joints, scale * before.joints @ turn.T, rtol=1e-8, atol=1e-8 * scale)
    np.testing.assert_allclose(after.residual, scale * before.residual @ turn.T, atol=1e-8 * scale)


def test_without_slack_it_is_the_least_squares_solution_for_the_depths(person) -> None:
    rng = np.random.default_rng(0)
    lengths, w = person.lengths * rng.uniform(0.8, 1.2, 14), rng.uniform(0.1, 2.0, 14)
    matrix = np.zeros((14, 3, 12))
    for limb, (a, b) in enumerate(limbs.EDGES):
        matrix[limb, :, a], matrix[limb, :, b] = -person.rays[a], person.rays[b]
    matrix *= np.sqrt(w)[:, None, None]
    right = np.sqrt(w)[:, None] * lengths[:, None] * person.directions
    depths = lsq_linear(matrix.reshape(42, 12), right.ravel()).x
    found = solve(person.directions, person.rays, lengths, w)
    np.testing.assert_allclose(found.joints, depths[:, None] * person.rays, atol=1e-9)
    np.testing.assert_allclose(found.off_ray, 0.0, atol=1e-12)


def test_with_slack_it_is_the_minimum_of_the_stated_objective(person) -> None:
    rng = np.random.default_rng(1)
    lengths, w, c = (
        person.lengths * rng.uniform(0.8, 1.2, 14),
        rng.uniform(0.5, 2.0, 14),
        rng.uniform(0.5, 2.0, 12),
    )
    rays = person.rays / np.linalg.norm(person.rays, axis=-1, keepdims=True)

    def objective(flat: np.ndarray) -> float:
        p = flat.reshape(12, 3)
        misfit = p[limbs.EDGES[:, 1]] - p[limbs.EDGES[:, 0]] - lengths[:, None] * person.directions
        across = p - (p * rays).sum(-1, keepdims=True) * rays
        return float(w @ (misfit**2).sum(-1) + c / 0.4**2 @ (across**2).sum(-1))

    found = solve(person.directions, person.rays, lengths, w, c, slack=0.4)
    best = minimize(objective, person.joints.ravel(), method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(found.joints.ravel(), best, atol=1e-5)
    p = found.joints
    np.testing.assert_allclose(found.off_ray, p - (p * rays).sum(-1, keepdims=True) * rays, atol=1e-12)
    assert np.abs(found.off_ray).max() > 1e-3


@pytest.mark.parametrize("slack", [0.0, 0.3])
def test_a_joint_that_is_not_seen_is_placed_by_its_limb(person, slack: float) -> None:
    rays = person.rays.copy()
    rays[WRIST] = np.nan
    found = solve(person.directions, rays, person.lengths, slack=slack)
    np.testing.assert_allclose(found.joints, person.joints, atol=1e-9)
    assert np.isnan(found.off_ray[WRIST]).all()
    unseen = np.ones(12)
    unseen[WRIST] = 0.0
    by_weight = person.solve(joint_weights=unseen, slack=slack)
    np.testing.assert_array_equal(by_weight.joints, found.joints)


def test_a_joint_that_nothing_leads_to_is_nan_and_bends_nothing(person) -> None:
    directions = person.directions.copy()
    directions[TO_WRIST] = np.nan
    found = solve(directions, person.rays, person.lengths)
    others = np.arange(12) != WRIST
    np.testing.assert_allclose(found.joints[others], person.joints[others], atol=1e-9)
    for array in (found.joints[WRIST], found.off_ray[WRIST], found.residual[TO_WRIST]):
        assert np.isnan(array).all()
    lengths = person.lengths.copy()
    lengths[TO_WRIST] = np.nan
    without = solve(person.directions, person.rays, lengths)
    np.testing.assert_array_equal(without.joints, found.joints)


def test_two_parts_without_a_limb_between_them_are_placed_each_on_its_own(person) -> None:
    """Upper and lower body: each has lengths and rays of its own. A leg of which one joint is seen has not."""
    w = np.array([0.0 if "shoulder" in p and "hip" in c else 1.0 for p, c in limbs.LIMBS])
    np.testing.assert_allclose(person.solve(limb_weights=w).joints, person.joints, atol=1e-9)
    lower = np.array(["hip" in j or "knee" in j or "ankle" in j for j in limbs.JOINTS])
    c = np.where(lower & (np.array(limbs.JOINTS) != "left_knee"), 0.0, 1.0)
    found = person.solve(limb_weights=w, joint_weights=c).joints
    np.testing.assert_allclose(found[~lower], person.joints[~lower], atol=1e-9)
    assert np.isnan(found[lower]).all()


def test_two_joints_on_different_rays_are_enough(person) -> None:
    c = np.zeros(12)
    c[[limbs.JOINTS.index("left_shoulder"), limbs.JOINTS.index("right_ankle")]] = 1.0
    np.testing.assert_allclose(person.solve(joint_weights=c).joints, person.joints, atol=1e-9)
    c[limbs.JOINTS.index("right_ankle")] = 0.0
    assert np.isnan(person.solve(joint_weights=c).joints).all()


@pytest.mark.parametrize("slack", [0.0, 0.3])
def test_parallel_rays_tell_no_distance(person, slack: float) -> None:
    rays = np.tile([0.1, 0.2, 1.0], (12, 1))
    assert np.isnan(solve(person.directions, rays, person.lengths, slack=slack).joints).all()
    middle = person.rays.mean(0)
    spread = np.sqrt(((person.rays - middle) ** 2).sum(-1).mean())
    near = middle + (person.rays - middle) * 2.0 * MIN_SPREAD / spread
    assert np.isfinite(solve(person.directions, near, person.lengths, slack=slack).joints).all()


def test_a_person_behind_the_camera_is_refused(person) -> None:
    """Turned directions belong to the point reflection of the person: every joint is behind the camera."""
    found = solve(-person.directions, person.rays, person.lengths)
    for array in (found.joints, found.residual, found.off_ray):
        assert np.isnan(array).all()
    both = solve(np.stack([-person.directions, person.directions]), person.rays, person.lengths)
    assert np.isnan(both.joints[0]).all()
    np.testing.assert_allclose(both.joints[1], person.joints, atol=1e-9)


def test_nothing_seen_or_known_is_nan(person) -> None:
    assert np.isnan(solve(person.directions, np.full((12, 3), np.nan), person.lengths).joints).all()
    assert np.isnan(solve(np.full((14, 3), np.nan), person.rays, person.lengths).joints).all()
    assert np.isnan(person.solve(slack=0.3, rounds=2, limb_weights=np.zeros(14)).joints).all()


@pytest.mark.parametrize("weight", [1e-300, 2.88e-16, 1e-12])
def test_weights_of_next_to_nothing_are_those_of_joints_that_are_not_seen(person, weight: float) -> None:
    directions, rays, lengths = person.directions, person.rays, person.lengths
    assert np.isnan(
        solve(directions, rays, lengths, joint_weights=np.full(12, weight), slack=0.1).joints
    ).all()
    some = np.where(np.arange(12) < 6, 1.0, weight)
    found = solve(directions, rays, lengths, joint_weights=some, slack=0.1).joints
    unseen = solve(directions, rays, lengths, joint_weights=np.where(some == 1.0, 1.0, 0.0), slack=0.1).joints
    np.testing.assert_array_equal(found, unseen)


def test_slack_and_rounds_keep_a_wrong_keypoint_from_bending_the_body(person) -> None:
    rays = person.rays.copy()
    rays[WRIST, 0] += 0.15  # 0.6 m
    others = np.arange(12) != WRIST

    def error(**kwargs) -> float:
        found = solve(person.directions, rays, person.lengths, **kwargs).joints
        found, truth = (x - x[others].mean(0) for x in (found, person.joints))
        return float(np.linalg.norm(found - truth, axis=-1)[others].mean())

    on_rays, slack, robust = error(), error(slack=0.3), error(slack=0.3, rounds=4)
    assert robust < 0.2 * slack < 0.2 * on_rays
    assert robust < 0.01


def test_people_of_a_batch_do_not_depend_on_each_other() -> None:
    case = people(3, count=4)
    rng = np.random.default_rng(3)
    case = case._replace(
        directions=np.where(rng.random((4, 14, 1)) < 0.2, np.nan, case.directions),
        rays=np.where(rng.random((4, 12, 1)) < 0.3, np.nan, case.rays + rng.normal(0.0, 0.01, (4, 12, 3))),
    )
    for slack, rounds in ((0.0, 0), (0.3, 2)):
        together = case.solve(slack=slack, rounds=rounds)
        for person in range(4):
            args = (case.directions[person], case.rays[person], case.lengths[person])
            alone = solve(*args, slack=slack, rounds=rounds)
            np.testing.assert_allclose(together.joints[person], alone.joints, atol=1e-12)
            np.testing.assert_allclose(together.residual[person], alone.residual, atol=1e-12)
    nested = solve(*(x.reshape(2, 2, *x.shape[1:]) for x in (case.directions, case.rays, case.lengths)))
    np.testing.assert_allclose(nested.joints.reshape(4, 12, 3), case.solve().joints, atol=1e-12)


@pytest.mark.parametrize(("slack", "rounds"), [(0.0, 0), (0.3, 0), (0.3, 3)])
def test_torch_gives_the_same(slack: float, rounds: int) -> None:
    case = people(4, count=6, distance=5.0)
    rng = np.random.default_rng(4)
    args = [
        np.where(rng.random((6, 14, 1)) < 0.1, np.nan, case.directions),
        np.where(rng.random((6, 12, 1)) < 0.3, np.nan, case.rays + rng.normal(0.0, 0.01, (6, 12, 3))),
        case.lengths,
        rng.uniform(0.0, 1.0, (6, 14)),
        rng.uniform(0.0, 1.0, (6, 12)),
    ]
    args[0][0] *= -1.0
    expected = solve(*args, slack=slack, rounds=rounds)
    found = solve(*map(torch.from_numpy, args), slack=slack, rounds=rounds)
    for name in ("joints", "residual", "off_ray"):
        np.testing.assert_allclose(getattr(found, name).numpy(), getattr(expected, name), atol=1e-9)
    assert np.isnan(expected.joints[0]).all()
    assert np.isfinite(expected.joints[1:]).mean() > 0.9


@pytest.mark.parametrize(("slack", "rounds"), [(0.0, 0), (0.4, 0), (0.4, 1)])
def test_gradients(slack: float, rounds: int) -> None:
    case = people(5)
    rng = np.random.default_rng(5)
    directions, rays, lengths = (torch.from_numpy(x[0]).requires_grad_() for x in case[1:])
    w, c = (torch.from_numpy(rng.uniform(0.5, 1.0, n)).requires_grad_() for n in (14, 12))
    drop = torch.ones(12, 1, dtype=torch.float64)
    drop[WRIST] = torch.nan

    def joints(*args: torch.Tensor) -> torch.Tensor:
        found = solve(args[0], args[1] * drop, *args[2:], slack=slack, rounds=rounds)
        return found.joints

    inputs = (directions, rays.detach() + 0.01 * torch.randn(12, 3, dtype=torch.float64), lengths, w, c)
    torch.autograd.gradcheck(joints, tuple(x.detach().requires_grad_(x is not inputs[1]) for x in inputs))
    seen = torch.arange(12) != WRIST

    def of_rays(some: torch.Tensor) -> torch.Tensor:
        full = torch.full((12, 3), torch.nan, dtype=torch.float64).index_put((seen,), some)
        return solve(directions.detach(), full, lengths.detach(), slack=slack, rounds=rounds).joints

    torch.autograd.gradcheck(of_rays, (inputs[1][seen].detach().requires_grad_(),))


def test_gradients_stay_finite_where_joints_are_missing() -> None:
    case = people(6, count=2)
    args = [torch.from_numpy(x.copy()) for x in case[1:]]
    args[1][0, WRIST] = torch.nan
    args[0][1] = torch.nan
    for x in args:
        x.requires_grad_()
    found = solve(*args, slack=0.3, rounds=2).joints
    found[torch.isfinite(found)].square().sum().backward()
    for x in args:
        assert torch.isfinite(x.grad).all()
    assert args[0].grad[0].abs().max() > 0.0


def test_single_precision_is_solved_in_double() -> None:
    case = people(7, distance=20.0)
    found = solve(*(torch.from_numpy(x).float() for x in case[1:]))
    assert found.joints.dtype == torch.float64
    np.testing.assert_allclose(found.joints, case.joints, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directions": np.zeros((13, 3))}, r"directions must have shape \(..., 14, 3\), got \(13, 3\)"),
        ({"rays": np.zeros((12, 2))}, r"rays must have shape \(..., 12, 3\)"),
        ({"lengths": np.zeros(12)}, r"lengths must have shape \(..., 14\)"),
        ({"limb_weights": np.zeros(12)}, r"limb_weights must have shape \(..., 14\)"),
        ({"joint_weights": np.zeros(14)}, r"joint_weights must have shape \(..., 12\)"),
        ({"slack": -0.1}, "slack must not be negative, got -0.1"),
        ({"rounds": 3}, "rounds need slack.*got 3"),
        ({"slack": 0.1, "rounds": -1}, "rounds must not be negative, got -1"),
    ],
)
def test_wrong_arguments_are_named(person, change: dict, message: str) -> None:
    args = {"directions": person.directions, "rays": person.rays, "lengths": person.lengths}
    with pytest.raises(ValueError, match=message):
        solve(**{**args, **change})
