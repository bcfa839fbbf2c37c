"""Endless training data: captured motion on varied bodies before random cameras, with a detector's errors.

A clip is one person for some frames before one camera. All randomness comes from the generator that is handed in, so that a batch
can be made again from its number, in any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from lift3d_node.stature import CHAIN
from pose_core.geometry.rotations import matrix_of_rotation_vector
from pose_core.skeleton import SKELETONS
from pose_train.data import detector
from pose_train.data.landmarks import MIRRORED_JOINTS, MIRRORED_SEGMENTS, REFERENCE_HEIGHT, Landmarks
from pose_train.data.mocap import JOINTS, PARENTS, SEGMENTS, Pack

Generator = np.random.Generator

SKELETON = "mediapipe33"
"""What the simulated detector gives."""

# Shares of clips, and ranges, of what varies. Where nothing else is said values are uniform in their range.
HEIGHTS = (1.40, 2.05)
SPEEDS = (0.7, 1.4)
RATES = (15.0, 60.0)
DISTANCES = (1.2, 8.0)  # metres, log uniform
FIELDS_OF_VIEW = (45.0, 100.0)  # degrees across the longer side
PITCH = 5.0
"""Degrees that cameras look down in the mean."""
ASPECTS = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16)  # width over height
OFF_CENTRE = 0.6
"""How far from the image's middle the person may be, as a share of the way to the border."""
MOVING = 0.4
"""Share of clips whose camera sways and turns like one on a robot or in a hand."""
SWAY_DEG, SWAY, SWAY_HZ = 8.0, 0.15, (0.2, 1.5)
WRONG_FOCAL, FOCAL_STD = 0.4, 0.10
"""Share of clips whose focal length is believed wrongly, and the standard deviation of its logarithm."""
SKIPS = 0.03
"""Share of frames before which one to three images were lost."""
NEAREST = 0.5
"""Metres: no joint is nearer to the camera's plane than this."""
GAZE_DEG, GAZE_STD_DEG = 10.0, 5.0
"""The head band's segment looks down by this against the face (README of the packs); varies with how it was worn."""
WRIST_DEG, WRIST_STD_DEG = 15.0, 8.0
"""Hand segments are extended by this too much."""


@dataclass(frozen=True)
class Tilts:
    """How cameras are tilted against gravity: degrees, normally distributed within limits."""

    pitch_std: float = 15.0
    lowest_pitch: float = -30.0
    highest_pitch: float = 45.0
    roll_std: float = 5.0
    roll_limit: float = 15.0


USUAL = Tilts()
"""Cameras on stands and robots."""
STRONG = Tilts(pitch_std=25.0, lowest_pitch=-60.0, highest_pitch=75.0, roll_std=20.0, roll_limit=60.0)
"""Cameras high on a wall, on low robots that look up, in hands and on arms. Two of the four cameras of Pose2Sim's
Demo_SinglePerson are rolled by 13 and 26 degrees and all look down by 18 to 24."""
TILTED = 0.4
"""Share of the clips for training whose camera is tilted so."""
UP_KNOWN, UP_STD_DEG = 0.5, 2.0
"""Share of the clips for training in which the direction that points up is known, and how far it is off about each axis."""


@dataclass(frozen=True)
class Bodies:
    """How people differ from those who were captured."""

    bone_scale: float = 0.04
    """Standard deviation of the logarithm of each bone's length over the captured one; left and right alike."""
    placing: float = 0.012
    """Standard deviation in metres of where a detector places its landmarks on a person, along each axis."""
    turned: float = 0.10
    """Share whose person is turned as a whole by any rotation: floor poses and handstands are almost absent from the data."""
    exchanged: float = 0.4
    """Share whose person has the arms of another clip's, about the thorax, and share with another's legs, about the pelvis: who
    walks may wave. There are few motions, and so many more of their parts together."""
    bent: float = 0.5
    """Share whose person has a joint of `BENT` turned, for each of these."""


VARIED, AS_CAPTURED = Bodies(), Bodies(bone_scale=0.0, turned=0.0, exchanged=0.0, bent=0.0)
"""For training; and for the test, whose people have the proportions and poses of real ones, but any height and speed, and may be
mirrored."""
SMALL = 1e-6
"""Metres: shorter bones have no direction."""
MAX_BONE_SCALES = 3.0
"""Standard deviations beyond which no bone is scaled."""


@dataclass(frozen=True)
class Clips:
    """n clips of T frames in the camera frame (x right, y down, z forward), and what a detector saw of them."""

    xy: np.ndarray  # (n, T, 33, 2) detections: normalised image coordinates x / z, y / z; NaN where missing
    confidence: np.ndarray  # (n, T, 33)
    clean_xy: np.ndarray  # (n, T, 33, 2) where they are
    inside: np.ndarray  # (n, T, 33) bool, inside the image
    step: np.ndarray  # (n, T) seconds since the frame before
    joints: dict[str, np.ndarray]  # skeleton: (n, T, J, 3) metres
    height: np.ndarray  # (n,) standing height in metres
    up: np.ndarray  # (n, T, 3) unit vector that points up, camera axes

    def truth(self, skeleton: str) -> np.ndarray:
        """(n, T, J, 3) joints of a skeleton: one that was made, or one whose joints are all among the detector's."""
        if not _among_detected(skeleton):
            return self.joints[skeleton]
        joints = SKELETONS.get(skeleton).joints
        return self.joints[SKELETON][:, :, SKELETONS.get(SKELETON).indices(*joints)]

    def stated_up(self, random: Generator) -> np.ndarray:
        """(n, T, 3) `up` as somebody states it: unknown (NaN) in some clips, in the others turned a little for the whole clip."""
        count = len(self.up)
        known = random.random(count) < UP_KNOWN
        turn = matrix_of_rotation_vector(np.radians(random.normal(0.0, UP_STD_DEG, (count, 3))))
        stated = np.einsum("nij,ntj->nti", turn, self.up)
        return np.where(known[:, None, None], stated, np.nan)


class Synthesizer:
    """Makes clips from packs. Raises ValueError for packs of different frame rates."""

    def __init__(
        self,
        packs: Sequence[Pack],
        skeletons: Sequence[str] = (SKELETON, "h36m17"),
        bodies: Bodies = VARIED,
        tilted: float = TILTED,
    ) -> None:
        """`skeletons`: which truths to make, besides that of the detector; `tilted`: share of the clips whose camera is tilted
        as in `STRONG`, not as in `USUAL`."""
        self._bodies, self._tilted = bodies, tilted
        rates = {pack.fps for pack in packs}
        if len(rates) != 1:
            raise ValueError(f"packs must have one frame rate, got {sorted(rates) or 'no pack'}")
        (self._fps,) = rates
        motions = [motion for pack in packs for motion in pack.motions]
        self._xyz = np.concatenate([motion.xyz for motion in motions])
        self._quaternions = np.concatenate([motion.quaternions for motion in motions])
        self._lengths = np.array([len(motion.xyz) for motion in motions])
        self._starts = np.cumsum(self._lengths) - self._lengths
        subjects, self._subject = np.unique([motion.subject for motion in motions], return_inverse=True)
        frames = np.bincount(self._subject, self._lengths)
        # A person counts by the square root of how long there is of them: neither the longest nor the shortest rules.
        share = self._lengths / np.sqrt(frames[self._subject])
        self._share = share / share.sum()
        of_frame = np.repeat(self._subject, self._lengths)
        self._chain = np.stack([_chain(self._xyz[of_frame == subject]) for subject in range(len(subjects))])
        made = dict.fromkeys((SKELETON, *(name for name in skeletons if not _among_detected(name))))
        self._landmarks = {name: Landmarks(name) for name in made}

    def clips(
        self,
        count: int,
        frames: int,
        random: Generator,
        noise: detector.Noise = detector.FULL,
        rates: Sequence[float] = (),
    ) -> Clips:
        """`count` clips of `frames` frames, each at one of the `rates` in images per second; without any, each at a rate within
        `RATES`, from which some images are lost.
        """
        step = self._steps(count, frames, random, rates)
        xyz, rotations, subject = self._motion(step, random)
        xyz, rotations = self._exchange(xyz, rotations, random)
        xyz, rotations, height = self._vary(xyz, rotations, subject, random)
        size = (height / REFERENCE_HEIGHT)[:, None].astype(np.float32)
        placing = self._landmarks[SKELETON].placing(count, self._bodies.placing, random)
        joints = {
            name: points.of(xyz, rotations, size, placing if name == SKELETON else None)
            for name, points in self._landmarks.items()
        }
        R_cam_world, position, half = _cameras(joints[SKELETON], step, random, self._tilted)
        joints = {
            name: np.einsum("ntij,ntkj->ntki", R_cam_world, points - position[:, :, None])
            for name, points in joints.items()
        }
        # A person who walks into the camera makes it step back.
        back = np.maximum(NEAREST - joints[SKELETON][..., 2].min((1, 2)), 0.0)
        for points in joints.values():
            points[..., 2] += back[:, None, None]
        seen = joints[SKELETON]
        clean = seen[..., :2] / seen[..., 2:]
        inside = (np.abs(clean) < half[:, None, None]).all(-1)
        xy, confidence = detector.detect(seen, clean, inside, step, height, random, noise)
        wrong = random.random(count) < WRONG_FOCAL
        focal = np.exp(np.where(wrong, random.normal(0.0, FOCAL_STD, count), 0.0))
        if noise.amount > 0.0:
            xy = xy * focal[:, None, None, None].astype(np.float32)
        return Clips(xy, confidence, clean, inside, step, joints, height, up=R_cam_world[..., 1])

    def _steps(self, count: int, frames: int, random: Generator, rates: Sequence[float]) -> np.ndarray:
        if rates:
            return np.repeat(1.0 / random.choice(rates, (count, 1)), frames, 1)
        step = np.repeat(1.0 / random.uniform(*RATES, (count, 1)), frames, 1)
        lost = random.random((count, frames)) < SKIPS
        return step * np.where(lost, random.integers(2, 5, (count, frames)), 1)

    def _motion(self, step: np.ndarray, random: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Joints (n, T, 31, 3) and segment rotations (n, T, 7, 3, 3) of pieces of motion; and whose they are (n,)."""
        count = len(step)
        motion = random.choice(len(self._share), count, p=self._share)
        last = self._lengths[motion, None] - 1
        time = np.cumsum(step, 1) * self._fps * random.uniform(*SPEEDS, (count, 1))
        at = random.random((count, 1)) * np.maximum(last - time[:, -1:], 1.0) + time - time[:, :1]
        # A motion shorter than the clip is played back and forth, which has no jump.
        at = last - np.abs(np.mod(at, 2.0 * last) - last)
        below = np.minimum(at.astype(np.intp), last - 1)
        part = (at - below)[..., None, None].astype(np.float32)
        rows = self._starts[motion, None] + below
        xyz = (1.0 - part) * self._xyz[rows] + part * self._xyz[rows + 1]
        first, second = self._quaternions[rows], self._quaternions[rows + 1]
        same = np.where(np.einsum("...i,...i->...", first, second)[..., None] < 0.0, -1.0, 1.0).astype(
            np.float32
        )
        return xyz, _rotations((1.0 - part) * first + part * same * second), self._subject[motion]

    def _exchange(
        self, xyz: np.ndarray, rotations: np.ndarray, random: Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same motion with limbs of others, and with joints bent by constant angles; each bone keeps its length."""
        if not self._bodies.exchanged and not self._bodies.bent:
            return xyz, rotations
        count = len(xyz)
        bones = _bones(xyz)
        given, turns = bones.copy(), rotations.copy()
        for part in (ARMS, LEGS):
            takes = np.flatnonzero(random.random(count) < self._bodies.exchanged)
            other = random.permutation(count)[takes]
            turn = np.matmul(
                rotations[takes, :, part.carrier], _transposed(rotations[other, :, part.carrier])
            )
            taken, segments = part.turned(turn, bones[other], rotations[other])
            own, theirs = (
                np.linalg.norm(values, axis=-1, keepdims=True)
                for values in (bones[takes][:, :, part.bones], taken)
            )
            part.put(takes, taken * own / np.maximum(theirs, SMALL), segments, given, turns)
        for part, degrees in BENT:
            bends = np.flatnonzero(random.random(count) < self._bodies.bent)
            vector = random.normal(0.0, np.radians(degrees), (len(bends), 3))
            inner = matrix_of_rotation_vector(vector).astype(np.float32)
            carrier = turns[bends, :, part.carrier]
            turn = carrier @ inner[:, None] @ _transposed(carrier)
            part.put(bends, *part.turned(turn, given[bends], turns[bends]), given, turns)
        return _joined(xyz[:, :, :1], given), turns

    def _vary(
        self, xyz: np.ndarray, rotations: np.ndarray, subject: np.ndarray, random: Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same motion by people of other proportions and size, mirrored, and turned; and their heights (n,)."""
        count = len(xyz)
        mirrored = random.random(count) < 0.5
        flip = np.array([-1.0, 1.0, 1.0], np.float32)
        xyz[mirrored] = xyz[mirrored][:, :, MIRRORED_JOINTS] * flip
        rotations[mirrored] = rotations[mirrored][:, :, MIRRORED_SEGMENTS] * np.outer(flip, flip)
        scale = np.clip(random.standard_normal((count, len(JOINTS))), -MAX_BONE_SCALES, MAX_BONE_SCALES)
        scale = np.exp(self._bodies.bone_scale * scale).astype(np.float32)
        scale = np.sqrt(scale * scale[:, MIRRORED_JOINTS])
        height = random.uniform(*HEIGHTS, count)
        scale *= (height / _height(self._chain[subject], scale)).astype(np.float32)[:, None]
        bones = _bones(xyz) * scale[:, None, 1:, None]
        size = (height / _height(self._chain[subject], np.ones_like(scale))).astype(np.float32)
        root = xyz[:, :, :1] * size[:, None, None, None]
        xyz = _joined(root, bones)
        turn = np.where(
            (random.random(count) < self._bodies.turned)[:, None, None],
            _random_rotations(count, random),
            np.eye(3),
        )
        turn = turn.astype(np.float32)
        middle = root.mean(1, keepdims=True)
        xyz = np.einsum("nij,ntkj->ntki", turn, xyz - middle) + middle
        rotations = np.einsum("nij,ntsjk->ntsik", turn, rotations)
        # How the head band and the hand's markers were worn.
        for names, axis, mean, std in (
            (("head",), 0, -GAZE_DEG, GAZE_STD_DEG),
            (("head",), 1, 0.0, GAZE_STD_DEG),
            (("lhand", "rhand"), 2, -WRIST_DEG, WRIST_STD_DEG),
        ):
            angle = np.radians(random.normal(mean, std, count))
            for name in names:
                row = SEGMENTS.index(name)
                tilt = _about_axis(axis, -angle if name == "rhand" else angle).astype(np.float32)
                rotations[:, :, row] = np.matmul(rotations[:, :, row], tilt[:, None])
        return xyz, rotations, height


def _among_detected(skeleton: str) -> bool:
    """Whether the joints of a skeleton, such as coco17, are some of the detector's."""
    return set(SKELETONS.get(skeleton).joints) <= set(SKELETONS.get(SKELETON).joints)


def _reach() -> np.ndarray:
    """(30, 30) which bones lead from the root to each joint but the root itself."""
    reach = np.zeros((len(JOINTS), len(JOINTS)), np.float32)
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            reach[joint] = reach[parent]
            reach[joint, joint] = 1.0
    return reach[1:, 1:]


REACH = _reach()


def _bones(xyz: np.ndarray) -> np.ndarray:
    """(n, T, 30, 3) from parent to joint, of joints (n, T, 31, 3); inverse of `_joined`."""
    return np.asarray(xyz[:, :, 1:] - xyz[:, :, PARENTS[1:]])


def _joined(root: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """(n, T, 31, 3) joints of somebody whose root (n, T, 1, 3) is here and who has these bones."""
    return np.concatenate([root, root + np.matmul(REACH, bones)], 2)


@dataclass(frozen=True)
class _Part:
    """Bones (their rows without the root's) and segments that turn together, and the segment that carries them."""

    carrier: int
    bones: list[int]
    segments: list[int]

    @classmethod
    def of(cls, carrier: str, bones: Sequence[str], segments: Sequence[str]) -> _Part:
        """By names."""
        return cls(
            SEGMENTS.index(carrier),
            [JOINTS.index(name) - 1 for name in bones],
            [SEGMENTS.index(name) for name in segments],
        )

    def turned(
        self, turn: np.ndarray, bones: np.ndarray, rotations: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Its bones (k, T, B, 3) and segments (k, T, S, 3, 3), of all those of k people, turned by (k, T, 3, 3)."""
        segments = np.matmul(turn[:, :, None], rotations[:, :, self.segments])
        return np.matmul(bones[:, :, self.bones], _transposed(turn)), segments

    def put(
        self,
        rows: np.ndarray,
        own_bones: np.ndarray,
        own_segments: np.ndarray,
        bones: np.ndarray,
        rotations: np.ndarray,
    ) -> None:
        """Write what `turned` gives into `bones` and `rotations` of all people, at the people in `rows` (k,)."""
        # NumPy moves axes that are indexed by arrays, with a slice between them, to the front.
        bones[rows[:, None], :, self.bones] = own_bones.transpose(0, 2, 1, 3)
        rotations[rows[:, None], :, self.segments] = own_segments.transpose(0, 2, 1, 3, 4)


def _arm(side: str) -> list[str]:
    return [side + bone for bone in ("humerus", "radius", "wrist", "hand", "fingers", "thumb")]


def _leg(side: str) -> list[str]:
    return [side + bone for bone in ("femur", "tibia", "foot", "toes")]


NECK = ("lowerneck", "upperneck", "head")
ARMS = _Part.of("thorax", [*_arm("l"), *_arm("r")], ["lhand", "rhand"])
LEGS = _Part.of("pelvis", [*_leg("l"), *_leg("r")], ["lfoot", "rfoot"])
TRUNK = ("lowerback", "upperback", "thorax", "lclavicle", "rclavicle")
BENT = (
    *((_Part.of("thorax", _arm(side), [f"{side}hand"]), 15.0) for side in "lr"),
    *((_Part.of("pelvis", _leg(side), [f"{side}foot"]), 8.0) for side in "lr"),
    (_Part.of("thorax", NECK, ["head"]), 8.0),
    (_Part.of("pelvis", [*TRUNK, *NECK, *_arm("l"), *_arm("r")], ["thorax", "head", "lhand", "rhand"]), 6.0),
)
"""What turns about shoulders, hips, neck and waist, and standard deviations in degrees about each axis."""
SPINE = [JOINTS.index(name) for name in ("lowerback", "upperback", "thorax")]
THIGH, SHANK = JOINTS.index("lfemur"), JOINTS.index("ltibia")


def _chain(xyz: np.ndarray) -> np.ndarray:
    """(3,) lengths in metres of a person's straight trunk, thigh and shank, from all their frames (F, 31, 3).

    The trunk, middle of the hips to middle of the shoulders, bends: the upper quartile is that of somebody who stands.
    """

    def length(start: Sequence[str], end: Sequence[str]) -> np.ndarray:
        middles = [xyz[:, [JOINTS.index(name) for name in names]].mean(1) for names in (start, end)]
        return np.linalg.norm(middles[1] - middles[0], axis=-1)

    trunk = np.quantile(length(("lhipjoint", "rhipjoint"), ("lclavicle", "rclavicle")), 0.75)
    legs = [
        np.mean([np.median(length([f"{side}{start}"], [f"{side}{end}"])) for side in "lr"])
        for start, end in (("hipjoint", "femur"), ("femur", "tibia"))
    ]
    return np.array([trunk, *legs])


def _height(chain: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Standing heights (n,) of people with straight chains (n, 3) whose bones are scaled by (n, 31).

    The same proportions as `lift3d_node.stature`.
    """
    scaled = chain * np.stack([scale[:, SPINE].mean(1), scale[:, THIGH], scale[:, SHANK]], 1)
    return scaled.sum(1) / sum(share for share, _ in CHAIN)


def _cameras(
    points: np.ndarray, step: np.ndarray, random: Generator, tilted: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A camera for each clip of `points` (n, T, J, 3), y up, of which a share is `tilted` strongly: R_cam_world (n, T, 3, 3),
    position (n, T, 3), and the image's border (n, 2) in normalised coordinates."""
    count, frames = points.shape[:2]
    field = np.tan(np.radians(random.uniform(*FIELDS_OF_VIEW, count)) / 2.0)
    aspect = random.choice(ASPECTS, count)
    half = field[:, None] * np.stack([np.minimum(aspect, 1.0), np.minimum(1.0 / aspect, 1.0)], 1)
    half /= half.max(1, keepdims=True) / field[:, None]
    centre = points.mean(2)
    # Between a camera that stands and one that follows the person from the first place to the last.
    follow = random.random((count, 1, 1)) * np.linspace(0.0, 1.0, frames)[None, :, None]
    target = centre.mean(1, keepdims=True) + (follow - follow.mean(1, keepdims=True)) * (
        centre[:, -1:] - centre[:, :1]
    )
    strong = random.random(count) < tilted if 0.0 < tilted < 1.0 else np.full(count, tilted > 0.0)
    of = [np.where(strong, *values) for values in zip(astuple(STRONG), astuple(USUAL), strict=True)]
    pitch_std, low, high, roll_std, roll_limit = of
    pitch = np.radians(np.clip(random.normal(PITCH, pitch_std), low, high))
    yaw = random.uniform(-np.pi, np.pi, count)
    roll = np.radians(np.clip(random.normal(0.0, roll_std), -roll_limit, roll_limit))
    aim = random.uniform(-OFF_CENTRE, OFF_CENTRE, (count, 2)) * half
    towards = np.concatenate([aim, np.ones((count, 1))], 1)
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    nearest, farthest = np.log(DISTANCES).tolist()
    distance = np.exp(random.uniform(nearest, farthest, count))
    # World (y up) to a level camera that looks along world -z: x right, y down, z forward.
    level = np.diag([1.0, -1.0, -1.0])
    R = _about_axis(2, roll) @ _about_axis(0, pitch) @ level @ _about_axis(1, yaw)
    position = target - distance[:, None, None] * np.einsum("nji,nj->ni", R, towards)[:, None]
    moving = (random.random((count, 1)) < MOVING).astype(float)
    time = np.cumsum(step, 1)
    sway = [
        amplitude
        * moving
        * random.random((count, 1))
        * np.sin(2.0 * np.pi * (random.uniform(*SWAY_HZ, (count, 1)) * time + random.random((count, 1))))
        for amplitude in (*(3 * [np.radians(SWAY_DEG)]), *(3 * [SWAY]))
    ]
    swayed = _about_axis(0, sway[0]) @ _about_axis(1, sway[1]) @ _about_axis(2, sway[2] * 0.5) @ R[:, None]
    return (
        swayed.astype(np.float32),
        (position + np.stack(sway[3:], -1)).astype(np.float32),
        half.astype(np.float32),
    )


def _about_axis(axis: int, angle: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) about a coordinate axis."""
    c, s = np.cos(angle), np.sin(angle)
    R = np.zeros((*angle.shape, 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R[..., axis, axis] = 1.0
    R[..., i, i] = R[..., j, j] = c
    R[..., i, j], R[..., j, i] = -s, s
    return R


def _transposed(matrices: np.ndarray) -> np.ndarray:
    return matrices.swapaxes(-1, -2)


def _random_rotations(count: int, random: Generator) -> np.ndarray:
    """(n, 3, 3) uniform over all rotations: unit quaternions from a normal distribution."""
    return _rotations(random.normal(size=(count, 4)))


def _rotations(quaternions: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4) w x y z of any length."""
    q = quaternions / np.maximum(np.linalg.norm(quaternions, axis=-1, keepdims=True), 1e-9)
    w, x, y, z = np.moveaxis(q, -1, 0)
    R = np.empty((*q.shape[:-1], 3, 3), q.dtype)
    R[..., 0, 0], R[..., 0, 1], R[..., 0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
    )
    R[..., 1, 0], R[..., 1, 1], R[..., 1, 2] = (
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
    )
    R[..., 2, 0], R[..., 2, 1], R[..., 2, 2] = (
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    return R
