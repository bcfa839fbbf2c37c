"""Any trained network as a lifter: keypoints encoded, one batch for all people of an image, and what comes back as shapes.

What a network gives stands in the axes of the view that its input was encoded in, about the root, in standing heights. The root
need not lie in the middle of that view, so its ray is found as the place from which the joints, as the network arranges them,
are best seen where their keypoints are; then the axes are turned from the one ray to the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lift3d_node.correspondence import Correspondence
from lift3d_node.geometry import view_rotation
from lift3d_node.learned.backends import Session
from lift3d_node.learned.encoding import Encoder, View
from lift3d_node.learned.limbs import JOINTS, default_lengths
from lift3d_node.learned.model_card import CENTRES
from lift3d_node.learned.pof_solver import solve
from lift3d_node.lifter import Lifter, Shape
from lift3d_node.params import Lift3DParams
from pose_core.filtering.joint_errors import DEPTH_SHARE
from pose_core.geometry.camera import Camera
from pose_core.networks.runtime import Outputs, State, empty_state
from pose_core.people import JointState, People2D, People3D
from pose_core.skeleton import SKELETONS
from pose_core.units import NS_PER_S

UNSEEN = 0.25
"""Confidence of a joint whose keypoint is missing, as a share of the mean of those that are seen. An assumption: the network
knows how bodies hang together, and placement widens the deviation of such joints."""

SLACK = 0.3
"""How much farther a limb's end is off than a sure keypoint: limbs that err by 9 degrees end 0.03 heights off, keypoints of a
confidence of 1 lie about 0.01 heights from their joints."""

RIDGE = 1e-9
"""Share of the weight of all rays; keeps rays that are all alike from dividing by zero, far below any noise."""


@dataclass(frozen=True)
class _Past:
    """What is kept of a person since their last image."""

    stamp: int
    R_cam_view: np.ndarray  # (3, 3)
    size: float
    state: State  # (1, ...) each


@dataclass(frozen=True)
class _Seen:
    """N people of one image."""

    view: View
    rays: np.ndarray  # (N, J_out, 3) unit, camera axes; NaN where not seen
    confidence: np.ndarray  # (N, J_out) of their keypoints, 0 where not seen


class NetworkLifter(Lifter):
    """Runs the network of a session. A person is forgotten after `forget_after` seconds, and when stamps go back."""

    def __init__(self, params: Lift3DParams, session: Session) -> None:
        """Raises ValueError for a network that cannot be used image by image."""
        super().__init__(params)
        card = session.card
        if card.look_ahead:
            raise ValueError(
                f"network '{card.network}' looks {card.look_ahead} frames ahead, which only recordings have; "
                "choose one without look-ahead"
            )
        self.skeleton_in, self.skeleton_out = card.skeleton_in, card.skeleton_out
        if "centres" in card.outputs:
            self.skeleton_of_centres = CENTRES
        self.device = session.device
        self._session = session
        self._card = card
        self._encoder = Encoder(card.skeleton_in, card.config)
        self._match = Correspondence(card.skeleton_in, card.skeleton_out)
        self._skeleton = SKELETONS.get(card.skeleton_out)
        self._of_limbs = self._skeleton.indices(*JOINTS) if "xyz" not in card.outputs else []
        self._past: dict[str, _Past] = {}

    def lift(self, people: People2D, camera: Camera, world: People3D | None) -> list[Shape]:
        self._forget(people.stamp)
        if not people.people:
            return []
        seen = self._see(people, camera)
        pasts = [self._past.get(person.id) or self._nothing(people.stamp) for person in people.people]
        outputs, state = self._session.run(
            seen.view.joints, self._context(seen.view, pasts, people.stamp), _gathered(pasts)
        )
        shapes = self._shapes(seen, outputs)
        for i, person in enumerate(people.people):
            own = [tensor[i : i + 1] for tensor in state]
            # A number that is none would stay in the state for ever.
            if not all(np.isfinite(tensor).all() for tensor in own):
                self._past.pop(person.id, None)
                shapes[i] = Shape.missing(len(self._skeleton))
                continue
            self._past[person.id] = _Past(
                people.stamp, seen.view.R_cam_view[i], float(seen.view.size[i]), own
            )
        return shapes

    def reset(self, person: str | None = None) -> None:
        if person is None:
            self._past.clear()
        else:
            self._past.pop(person, None)

    def _forget(self, stamp: int) -> None:
        """Whoever was not seen for too long, or will only be seen later, begins anew."""
        oldest = stamp - int(self.params.forget_after * NS_PER_S)
        for id in [id for id, past in self._past.items() if not oldest <= past.stamp <= stamp]:
            del self._past[id]

    def _nothing(self, stamp: int) -> _Past:
        """The past of somebody who is new."""
        return _Past(stamp, np.eye(3), math.nan, empty_state(self._card, 1))

    def _see(self, people: People2D, camera: Camera) -> _Seen:
        xy = camera.undistort(np.stack([person.xy_px for person in people.people]))
        confidence = np.nan_to_num(np.stack([person.joint_confidence for person in people.people]))
        view = self._encoder.view(xy, confidence)
        matched = [self._match.keypoints(*keypoints) for keypoints in zip(xy, confidence, strict=True)]
        xy_out, sure = (np.stack(arrays) for arrays in zip(*matched, strict=True))
        rays = np.concatenate([xy_out, np.ones((*xy_out.shape[:-1], 1))], -1)
        rays /= np.sqrt(np.einsum("nji,nji->nj", rays, rays))[..., None]
        known = np.isfinite(rays).all(-1) & (sure > 0.0)
        return _Seen(
            view, np.where(known[..., None], rays, np.nan), np.where(known, np.minimum(sure, 1.0), 0.0)
        )

    def _context(self, view: View, pasts: list[_Past], stamp: int) -> np.ndarray:
        before = View(
            view.joints,  # not looked at
            np.stack([past.R_cam_view for past in pasts]),
            np.array([past.size for past in pasts]),
        )
        up = None if self.up is None else np.broadcast_to(self.up, (len(pasts), 3))
        step = np.array([stamp - past.stamp for past in pasts]) / NS_PER_S
        return self._encoder.context(view, before, step, up)

    def _shapes(self, seen: _Seen, outputs: Outputs) -> list[Shape]:
        xyz = self._placed_limbs(seen, outputs) if self._of_limbs else outputs["xyz"].astype(float)
        xyz = np.einsum("nik,njk->nji", seen.view.R_cam_view, xyz - self._skeleton.root_of(xyz)[:, None])
        std = np.broadcast_to(self._std(outputs), xyz.shape[:-1])
        ray = _root_rays(xyz, std, seen)
        R_ray_cam = view_rotation(ray)
        xyz = np.matmul(xyz, R_ray_cam)
        centres, centres_std = self._centres(
            outputs, np.matmul(seen.view.R_cam_view.swapaxes(1, 2), R_ray_cam)
        )
        known = np.isfinite(xyz).all(-1) & np.isfinite(std) & np.isfinite(seen.view.size)[:, None]
        depth_share = np.broadcast_to(_depth_share(outputs), std.shape)
        confidence = self._confidence(seen)
        return [
            Shape(
                xyz=np.where(one[:, None], xyz[i], np.nan),
                std=np.where(one, std[i], np.nan),
                confidence=np.where(one, confidence[i], 0.0),
                state=np.where(one, JointState.LIFTED, JointState.MISSING).astype(np.uint8),
                height=1.0,
                depth_share=depth_share[i],
                centres=None if centres is None else centres[i],
                centres_std=None if centres_std is None else centres_std[i],
            )
            if one.any()
            else Shape.missing(len(self._skeleton))
            for i, one in enumerate(known)
        ]

    def _placed_limbs(self, seen: _Seen, outputs: Outputs) -> np.ndarray:
        """Joints (N, J_out, 3) in heights, view axes, from directions of limbs; NaN for those that no limb reaches."""
        rays = np.matmul(seen.rays[:, self._of_limbs], seen.view.R_cam_view)
        xyz = np.full((len(rays), len(self._skeleton), 3), np.nan)
        xyz[:, self._of_limbs] = joints_of_limbs(outputs["limbs"], rays, seen.confidence[:, self._of_limbs])
        return xyz

    def _centres(
        self, outputs: Outputs, turn: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        """Centres of rotation (N, C, 3) and deviations (N, C) from axes of the view by `turn` (N, 3, 3): row vectors times it.

        The pelvis between the hips' centres is where the root of the landmarks is, the middle between the hips.
        """
        if not self.skeleton_of_centres:
            return None, None
        xyz = outputs["centres"].astype(float)
        xyz = np.matmul(xyz - SKELETONS.get(self.skeleton_of_centres).root_of(xyz)[:, None], turn)
        # Temperatures are measured for the joints alone.
        std = _rms(outputs["centres_log_std"]) * np.mean(self._card.temperature)
        known = np.isfinite(xyz).all(-1) & np.isfinite(std)
        return np.where(known[..., None], xyz, np.nan), np.where(known, std, np.nan)

    def _std(self, outputs: Outputs) -> np.ndarray:
        """(N, J_out), or what becomes that: root mean square of the axes, in heights."""
        if "log_std" not in outputs:
            return np.array(self._card.std)
        return _rms(outputs["log_std"]) * self._card.temperature

    def _confidence(self, seen: _Seen) -> np.ndarray:
        """(N, J_out) that of the keypoint; less where there is none, and their mean where the skeleton in has no such joint."""
        matched = self._match.known
        mean = seen.confidence[:, matched].sum(1) / np.maximum((seen.confidence > 0.0).sum(1), 1)
        inferred = np.where(matched, UNSEEN, 1.0) * mean[:, None]
        return np.where(seen.confidence > 0.0, seen.confidence, inferred)


def joints_of_limbs(directions: np.ndarray, rays: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Joints (..., 12, 3) `limbs.JOINTS` in heights, seen along `rays` (..., 12, 3), from directions of limbs (..., 14, 3).

    The body has the usual proportions. `confidence` (..., 12) of the keypoints; NaN where a joint cannot be placed.
    """
    joints: np.ndarray = solve(
        np.asarray(directions, float), rays, default_lengths(1.0), joint_weights=confidence, slack=SLACK
    ).joints
    return joints


def _rms(log_std: np.ndarray) -> np.ndarray:
    """Root mean square of the axes (...) from logarithms (..., 2) of the deviation across and along the view."""
    across, along = _variances(log_std)
    return np.asarray(np.sqrt((2.0 * across + along) / 3.0))


def _depth_share(outputs: Outputs) -> np.ndarray | float:
    """(N, J) of the variance of each joint, what lies along the view."""
    if "log_std" not in outputs:
        return DEPTH_SHARE
    across, along = _variances(outputs["log_std"])
    return np.asarray(along / (2.0 * across + along))


def _variances(log_std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of one axis across the view and of that along it (...), from logarithms (..., 2) of their deviations."""
    variance = np.exp(2.0 * log_std.astype(float))
    return variance[..., 0], variance[..., 1]


def _gathered(pasts: list[_Past]) -> State:
    """The states of several people as one batch."""
    return [np.concatenate(tensors) for tensors in zip(*(past.state for past in pasts), strict=True)]


def _root_rays(xyz: np.ndarray, std: np.ndarray, seen: _Seen) -> np.ndarray:
    """(N, 3) unit vectors to the roots of joints `xyz` (N, J, 3) about them, camera axes.

    The root is at t where the joints x lie nearest to their rays r: sum w (I - r r') (x + t) = 0, linear in t. The middle of the
    view stands in where that is not before the camera.
    """
    known = (seen.confidence > 0.0) & np.isfinite(xyz).all(-1) & (std > 0.0)
    weights = np.where(known, seen.confidence / np.where(known, std, 1.0) ** 2, 0.0)
    rays, joints = np.where(known[..., None], seen.rays, 0.0), np.where(known[..., None], xyz, 0.0)
    total = np.maximum(weights.sum(1), RIDGE)
    weighted = weights[..., None] * rays
    matrix = ((1.0 + RIDGE) * total)[:, None, None] * np.eye(3) - np.einsum("nji,njk->nik", weighted, rays)
    off = np.einsum("nj,nji->ni", weights, joints)
    off -= np.einsum("nji,nj->ni", weighted, np.einsum("nji,nji->nj", rays, joints))
    root = np.linalg.solve(matrix, -off[..., None])[..., 0]
    distance = np.sqrt(np.einsum("ni,ni->n", root, root))
    middle = seen.view.R_cam_view[:, :, 2]
    sound = np.isfinite(distance) & (np.einsum("ni,ni->n", root, middle) > 0.5 * distance)
    return np.where(sound[:, None], root / np.where(sound, distance, 1.0)[:, None], middle)
