"""From a person's shape to a person in the camera frame, in metres.

The subject's height scales the shape, the keypoints and the camera place it (`lift3d_node.placing.pnp`), and then each joint
moves across its ray towards its keypoint as far as the noise of both says. Each image is solved on its own, from a linear
solution, so the result depends on nothing that came before, and a replay gives the same numbers wherever it starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lift3d_node.correspondence import Correspondence
from lift3d_node.geometry import view_rotation
from lift3d_node.lifter import Shape
from lift3d_node.params import Lift3DParams
from lift3d_node.placing.pnp import NU, Pose, Problem, linear_position
from lift3d_node.stature import STATURE_STD
from lift3d_node.subjects import Subject
from pose_core.conversion import conversion
from pose_core.filtering.joint_errors import DEPTH_SHARE
from pose_core.filtering.visibility import joint_mask
from pose_core.geometry import covariance as covariances
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, Person2D, Person3D, with_missing, within_reach
from pose_core.skeleton import SKELETONS

UNSEEN = 2.0
"""Factor on the standard deviation of a joint whose keypoint is not used: nothing in the image supports it.

An assumption. On Demo_SinglePerson MediaPipe's 3D is no worse where a landmark is hidden, but there none leaves the image."""

MAX_DEPTH_STD = 0.25
"""Relative standard deviation of depth, at known height, beyond which keypoints do not tell where a person is."""

FARTHEST_JOINT = 1e4
"""Heights from the root beyond which a joint takes no part: no mistake of units explains it."""

MAX_TURN = 4.0
"""Standard deviations of a shape's orientation by which it may be turned to fit; on Demo_SinglePerson 1.2 at most."""


@dataclass(frozen=True)
class Placed:
    """A person in the camera frame, and how well that agrees with the image."""

    person: Person3D
    error_px: np.ndarray  # (J,) from keypoint to projection of the rigid shape, pixels; NaN where not used
    reason: str = ""
    """Why the person could not be placed, in few words; empty where it could. All joints are MISSING then."""
    centres: Person3D | None = None
    """The person's true centres of rotation; None where the lifter knows none."""


@dataclass(frozen=True)
class _Seen:
    """The n joints whose keypoints take part."""

    joints: np.ndarray  # (n,) rows of the skeleton
    xy_px: np.ndarray  # (n, 2)
    rays: np.ndarray  # (n, 3) unit
    confidence: np.ndarray  # (n,)
    noise: float  # variance of a sure keypoint across its ray, radians squared; NaN where there is no joint


class Placement:
    """Puts people before the camera. Without memory."""

    def __init__(
        self, params: Lift3DParams, skeleton_in: str, skeleton_out: str, skeleton_of_centres: str = ""
    ) -> None:
        """Keypoints come in `skeleton_in`, shapes in `skeleton_out`, their centres in the third, empty for none.

        Raises ValueError where the first two share too few joints.
        """
        self._params = params
        self._match = Correspondence(skeleton_in, skeleton_out)
        skeleton = SKELETONS.get(skeleton_out)
        self._joints = len(skeleton)
        self._of_centres = conversion(skeleton_out, skeleton_of_centres) if skeleton_of_centres else None
        shares = skeleton.root_of(np.eye(self._joints))
        self._root = np.flatnonzero(shares)
        self._root_shares = shares[self._root]
        shared = int(self._match.known.sum())
        if shared < params.min_joints:
            raise ValueError(
                f"min_joints must be at most {shared}, the number of joints that skeletons '{skeleton_in}' and "
                f"'{skeleton_out}' share, got {params.min_joints}"
            )

    def place(self, person: Person2D, shape: Shape, camera: Camera, subject: Subject) -> Placed:
        """`person` as seen by `camera`, of the given shape, as tall as `subject`. Changes none of its arguments.

        Where that cannot be told all joints are missing and the reason is given; bad numbers never raise.
        """
        if not 0.0 < shape.height < math.inf:
            return self._missing(person, subject, "no shape")
        seen = self._see(person, shape, camera)
        if len(seen.joints) < self._params.min_joints:
            return self._missing(person, subject, f"fewer than {self._params.min_joints} joints in the image")
        if _extent(seen.rays) <= seen.noise:
            return self._missing(person, subject, "keypoints closer together than their noise")
        scale = subject.height / shape.height
        points, std = scale * shape.xyz[seen.joints], scale * shape.std[seen.joints]
        if not points.any():
            return self._missing(person, subject, "no shape")
        try:
            return self._fit(person, shape, camera, subject, seen, points, std)
        except np.linalg.LinAlgError:
            return self._missing(person, subject, "no position fits")

    def _fit(
        self,
        person: Person2D,
        shape: Shape,
        camera: Camera,
        subject: Subject,
        seen: _Seen,
        points: np.ndarray,
        std: np.ndarray,
    ) -> Placed:
        """`place` by the keypoints that are seen, of `points` (n, 3) about the root in metres with deviations `std` (n,).

        Raises LinAlgError where they leave the position open.
        """
        scale = subject.height / shape.height
        start = linear_position(points, seen.rays, seen.confidence / std**2)
        depth = _depth(points @ view_rotation(start / math.sqrt(start @ start)).T + start, seen.rays)
        if not depth.min() > 0.0:
            return self._missing(person, subject, "not in front of the camera")
        variance = ((std / depth) ** 2 + seen.noise) / seen.confidence
        rotation_std = math.radians(self._params.rotation_std_deg)
        pose = Problem(points, seen.rays, variance, start, rotation_std).solve()
        if reason := self._doubt(pose, points, seen.rays):
            return self._missing(person, subject, reason)
        rigid = xyz = scale * shape.xyz @ pose.rotation.T + pose.position
        error_px = np.full(self._joints, np.nan)
        error_px[seen.joints] = np.hypot(*(camera.project(xyz[seen.joints]) - seen.xy_px).T)
        xyz, along, across = _towards_keypoints(
            xyz, scale * shape.std, shape.depth_share, seen, variance, pose
        )
        std = np.sqrt((along + 2.0 * across) / 3.0)
        placed = Person3D(
            id=person.id,
            confidence=person.confidence,
            xyz=xyz,
            std=_with_scale(std, xyz - pose.position, subject),
            covariance=_covariance(xyz, along, across, xyz - pose.position, subject),
            root_std=self._root_std(pose, seen, across, camera, subject),
            joint_confidence=np.array(shape.confidence, float),
            state=np.array(shape.state, np.uint8),
            height=subject.height,
            height_std=subject.height_std,
            scale_source=subject.source,
        )
        centres = self._centres(placed, shape, scale, pose, xyz - rigid, subject)
        return Placed(within_reach(placed), error_px, centres=centres and within_reach(centres))

    def _centres(
        self, placed: Person3D, shape: Shape, scale: float, pose: Pose, moved: np.ndarray, subject: Subject
    ) -> Person3D | None:
        """Centres of rotation of a person who was placed; each goes with the joint nearest to it, which `moved` (J, 3)."""
        if self._of_centres is None:
            return None
        if shape.centres is None or shape.centres_std is None:
            return self._nothing(placed, len(self._of_centres.target))
        shift, _ = self._of_centres.apply(np.nan_to_num(moved), np.ones(self._joints))
        xyz = scale * shape.centres @ pose.rotation.T + pose.position + np.nan_to_num(shift)
        std = _with_scale(scale * shape.centres_std, xyz - pose.position, subject)
        along, across = _along_and_across(scale * shape.centres_std, DEPTH_SHARE)
        covariance = _covariance(xyz, along, across, xyz - pose.position, subject)
        missing = ~np.isfinite(xyz).all(1) | ~np.isfinite(std)
        _, sure = self._of_centres.apply(np.zeros_like(placed.xyz), placed.joint_confidence)
        everyone = np.full(len(missing), JointState.LIFTED, np.uint8)
        confidence = np.where(np.isfinite(sure) & (sure > 0.0), sure, placed.joint_confidence.mean())
        return with_missing(
            replace(
                placed, xyz=xyz, std=std, covariance=covariance, joint_confidence=confidence, state=everyone
            ),
            missing,
        )

    def _see(self, person: Person2D, shape: Shape, camera: Camera) -> _Seen:
        xy_px, confidence = self._match.keypoints(person.xy_px, person.joint_confidence)
        there = joint_mask(xy_px, confidence, self._params.min_confidence, camera.width, camera.height)
        near = np.abs(shape.xyz).max(1) <= FARTHEST_JOINT * shape.height
        joints = np.flatnonzero(there & near & (shape.std > 0.0))
        rays = camera.ray(xy_px[joints])
        # A lens model may end before the image does.
        within = ~np.isnan(rays[:, 0])
        joints, rays = joints[within], rays[within]
        xy_px = xy_px[joints]
        keypoint_std_px = self._params.keypoint_std * max(
            math.hypot(*(person.box_px[2:] - person.box_px[:2])), 1.0
        )
        # From pixels to radians as the person's rays and keypoints spread; keypoints all in one place spread as their noise.
        noise = math.nan
        if len(joints):
            noise = keypoint_std_px**2 * _extent(rays) / max(_extent(xy_px), keypoint_std_px**2)
        return _Seen(joints, xy_px, rays, confidence[joints], noise)

    def _doubt(self, pose: Pose, points: np.ndarray, rays: np.ndarray) -> str:
        """Why not to believe `pose`, empty where nothing speaks against it."""
        distance2 = float(pose.position @ pose.position)
        distance = math.sqrt(distance2)
        if not pose.converged:
            return "no position fits"
        if distance > self._params.max_distance:
            return f"farther than {self._params.max_distance:g} m"
        if pose.position @ pose.covariance[3:, 3:] @ pose.position > (MAX_DEPTH_STD * distance2) ** 2:
            return "depth undetermined"
        turned2 = float(pose.correction @ pose.correction)
        if turned2 > math.radians(max(MAX_TURN * self._params.rotation_std_deg, 1.0)) ** 2:
            return "shape and keypoints disagree"
        placed = points @ pose.rotation.T
        size = math.sqrt((placed**2).sum() / len(placed))
        placed += pose.position
        off = placed - rays * _depth(placed, rays)[:, None]
        median2 = np.sort(np.einsum("ni,ni->n", off, off))[len(off) // 2]
        if median2 > (self._params.max_misfit * size) ** 2:
            return "shape and keypoints disagree"
        return ""

    def _root_std(
        self, pose: Pose, seen: _Seen, across: np.ndarray, camera: Camera, subject: Subject
    ) -> np.ndarray:
        """(3,) of the root, whose joints have variance `across` (J,) across the ray after they were moved."""
        square = pose.position**2
        # How well keypoints place the rigid shape, and what a wrong height or wrong proportions do to that.
        scale_std = math.hypot(subject.height_std / subject.height, STATURE_STD)
        variance = pose.covariance[[3, 4, 5], [3, 4, 5]] + scale_std**2 * square
        # Across the ray: the root's joints follow their keypoints, and those of one image err in common as much as each
        # does alone. On Demo_SinglePerson the root was off by 16 to 38 mm there, where the rigid fit claims 10.
        of_root = across[self._root]
        moved = float(self._root_shares**2 @ np.where(np.isnan(of_root), 0.0, of_root)) / square.sum()
        variance += (moved + seen.noise) * (square.sum() - square)
        if camera.source == "field_of_view":
            # A focal length f = c / tan(a / 2) has df / f = -da / sin(a), and depth is proportional to it.
            angle, angle_std = camera.field_of_view_deg, self._params.field_of_view_std_deg
            variance[2] += (math.radians(angle_std) / math.sin(math.radians(angle))) ** 2 * square[2]
        return np.sqrt(variance)

    def _missing(self, person: Person2D, subject: Subject, reason: str) -> Placed:
        nobody = Person3D(
            id=person.id,
            confidence=person.confidence,
            xyz=np.full((self._joints, 3), np.nan),
            std=np.full(self._joints, np.nan),
            covariance=np.full((self._joints, 6), np.nan),
            root_std=np.full(3, np.nan),
            joint_confidence=np.zeros(self._joints),
            state=np.full(self._joints, JointState.MISSING, np.uint8),
            height=subject.height,
            height_std=subject.height_std,
            scale_source=subject.source,
        )
        centres = None if self._of_centres is None else self._nothing(nobody, len(self._of_centres.target))
        return Placed(nobody, np.full(self._joints, np.nan), reason, centres)

    @staticmethod
    def _nothing(person: Person3D, joints: int) -> Person3D:
        """The same person of whom none of so many joints is known."""
        return replace(
            person,
            xyz=np.full((joints, 3), np.nan),
            std=np.full(joints, np.nan),
            covariance=np.full((joints, 6), np.nan),
            joint_confidence=np.zeros(joints),
            state=np.full(joints, JointState.MISSING, np.uint8),
        )


def _with_scale(std: np.ndarray, from_root: np.ndarray, subject: Subject) -> np.ndarray:
    """Deviations (J,) with what the doubt in the person's height adds to joints (J, 3) about the root."""
    square = (from_root**2).sum(1)
    doubt: np.ndarray = np.sqrt(std**2 + (subject.height_std / subject.height) ** 2 * square / 3.0)
    return doubt


def _covariance(
    xyz: np.ndarray, along: np.ndarray, across: np.ndarray, from_root: np.ndarray, subject: Subject
) -> np.ndarray:
    """(J, 6) of joints (J, 3) with variances (J,) along and across their rays; a wrong height moves them from or to the root."""
    doubt = (subject.height_std / subject.height) ** 2 * covariances.outer(from_root)
    return covariances.along_rays(xyz, along, across) + doubt


def _along_and_across(std: np.ndarray, depth_share: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Variances (J,) along the view, and on each axis across it, of deviations (J,), root mean square of the axes."""
    whole = 3.0 * std**2
    return depth_share * whole, (1.0 - depth_share) / 2.0 * whole


def _towards_keypoints(
    xyz: np.ndarray,
    std: np.ndarray,
    depth_share: np.ndarray | float,
    seen: _Seen,
    variance: np.ndarray,
    pose: Pose,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (J, 3) moved across their rays by the best linear estimate of shape and keypoint.

    `std` (J,) is of all axes, `depth_share` (J,) what of its square lies along the ray. Also their variances (J,) along the ray,
    where nothing changes but the doubt in joints that are not seen, and across it. What weight a keypoint lost in the robust fit
    is how far it is as wrong as it looks.
    """
    joints = seen.joints
    depth = _depth(xyz[joints], seen.rays)
    off = xyz[joints] - seen.rays * depth[:, None]
    off2 = np.einsum("ni,ni->n", off, off)
    lost = np.maximum(1.0 - (NU + 2.0) / (NU + off2 / (depth**2 * variance * pose.tau)), 0.0)
    unseen = np.full(len(std), UNSEEN)
    unseen[joints] = 1.0
    along, across = _along_and_across(unseen * std, depth_share)
    of_shape = across[joints]
    of_keypoint = seen.noise * depth**2 / seen.confidence + lost * off2
    share = of_shape / (of_shape + of_keypoint)
    across[joints] *= 1.0 - share
    moved = xyz.copy()
    moved[joints] -= share[:, None] * off
    return moved, along, across


def _depth(xyz: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """(n,) how far points (n, 3) lie along unit rays (n, 3)."""
    return np.einsum("ni,ni->n", xyz, rays)


def _extent(points: np.ndarray) -> float:
    """Mean square distance of points (n, d) from their mean."""
    off = points - points.sum(0) / len(points)
    return float((off * off).sum() / len(points))
