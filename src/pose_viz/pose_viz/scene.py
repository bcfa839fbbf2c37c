"""Markers for RViz as plain data: people in 3D in, descriptions of what to show and what to delete out.

Namespaces, which RViz lets the user switch on and off: `joints`, `bones`, `labels`, `uncertainty`. Positions
are metres in the frame of the people.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pose_core.geometry import covariance as covariances
from pose_core.geometry.rotations import quaternion_of_matrix
from pose_core.people import People3D, Person3D, ScaleSource
from pose_core.skeleton import SKELETONS, Skeleton, side
from pose_viz.palette import person_colour, side_colour
from pose_viz.params import VizParams

OPAQUE = 0.99
"""Alpha of what is certain: RViz blends a line list as its last point asks, and 1 would turn blending off."""
FAINTEST = 0.15
"""Alpha that no joint falls below, however uncertain: what is published is visible."""
HALF_STD = 0.08
"""Metres of standard deviation at which a joint is half way to the faintest."""
ELLIPSOID_ALPHA = 0.3
MIN_DIAMETER_SHARE = 0.05
"""Of the standard deviation, what an ellipsoid's thinnest axis has at least: RViz draws nothing that has no thickness."""

LABEL_HEIGHT = 0.12
"""Metres, height of a capital letter."""
LABEL_ABOVE = 0.35
"""Metres from the middle of the face to the label above the head."""
HEADS = ("head_top", "head", "nose", "neck")
"""Nodes that tell where the head is, best first."""
UP = np.array([0.0, -1.0, 0.0])
"""Up in an optical frame of a camera held level (REP 103: y down)."""

PER_PERSON = 256
"""Marker numbers set apart for each person in a namespace; more than any skeleton has joints."""

NO_TURN = (0.0, 0.0, 0.0, 1.0)

Key = tuple[str, int]


class Shape(enum.Enum):
    """Kinds of marker."""

    SPHERES = "spheres"
    LINES = "lines"
    TEXT = "text"
    ELLIPSOID = "ellipsoid"


@dataclass(frozen=True)
class MarkerSpec:
    """One marker. Spheres and line ends lie at `points`; text and ellipsoids have one point."""

    namespace: str
    number: int
    shape: Shape
    points: np.ndarray  # (N, 3)
    colours: np.ndarray  # (N, 4) red, green, blue, alpha in 0..1
    scale: tuple[float, float, float]  # diameters in metres; lines: width first; text: height last
    text: str = ""
    turn: tuple[float, float, float, float] = NO_TURN
    """Quaternion x, y, z, w of an ellipsoid's axes."""

    @property
    def key(self) -> Key:
        """Namespace and number: what RViz tells markers apart by."""
        return self.namespace, self.number


@dataclass(frozen=True)
class Scene:
    """What to do with one message: clear everything first, delete some markers, show the others."""

    clear: bool
    deleted: tuple[Key, ...]
    markers: tuple[MarkerSpec, ...]


class SceneBuilder:
    """Turns people of successive images into scenes; remembers what is shown and everybody's number."""

    def __init__(self, params: VizParams) -> None:
        self.params = params
        self.reset()

    def reset(self) -> None:
        """Forget everybody; the next scene clears what is shown."""
        self._stamp: int | None = None
        self._numbers: dict[str, int] = {}
        self._given = 0
        self._shown: set[Key] = set()

    def build(self, people: People3D) -> Scene:
        """Scene of one image. Markers of people who left are deleted; a stamp that goes back starts anew."""
        if self._stamp is not None and people.stamp < self._stamp:
            self.reset()
        clear = self._stamp is None
        self._stamp = people.stamp
        skeleton = SKELETONS.get(people.skeleton)
        markers = tuple(
            marker
            for person in people.people
            for marker in self._person(skeleton, person, self._number(person.id))
        )
        here = {person.id for person in people.people}
        self._numbers = {person: number for person, number in self._numbers.items() if person in here}
        before, self._shown = self._shown, {marker.key for marker in markers}
        return Scene(clear, tuple(sorted(before - self._shown)), markers)

    def _number(self, person: str) -> int:
        """The person's number. Ids are not used again within a run, and so are numbers."""
        if person not in self._numbers:
            self._numbers[person] = self._given
            self._given += 1
        return self._numbers[person]

    def _person(self, skeleton: Skeleton, person: Person3D, number: int) -> Iterator[MarkerSpec]:
        params = self.params
        nodes = skeleton.with_virtual(person.xyz)
        confidence = skeleton.with_virtual(person.joint_confidence[:, None])[:, 0]
        visible = np.isfinite(nodes).all(-1) & (confidence >= params.min_confidence) & (confidence > 0.0)
        if not visible.any():
            return
        std = skeleton.with_virtual(person.std[:, None])[:, 0]
        alpha = alpha_of(std) if params.uncertainty == "transparency" else np.full(len(std), OPAQUE)
        joints = np.flatnonzero(visible[: len(skeleton)])
        if len(joints):
            colours = np.array([side_colour(side(skeleton.joints[joint]), person.id) for joint in joints])
            yield MarkerSpec(
                "joints",
                number,
                Shape.SPHERES,
                nodes[joints],
                np.column_stack([colours, alpha[joints]]),
                (2.0 * params.joint_radius,) * 3,
            )
        bones = np.flatnonzero(visible[skeleton.edges].all(-1))
        if len(bones):
            ends = skeleton.edges[bones].ravel()
            colours = np.array([side_colour(skeleton.bone_sides[bone], person.id) for bone in bones])
            yield MarkerSpec(
                "bones",
                number,
                Shape.LINES,
                nodes[ends],
                np.column_stack([colours.repeat(2, axis=0), alpha[ends]]),
                (params.bone_width, 0.0, 0.0),
            )
        if params.uncertainty == "ellipsoids":
            yield from _ellipsoids(skeleton, person, number, nodes, visible)
        if params.show_labels:
            yield MarkerSpec(
                "labels",
                number,
                Shape.TEXT,
                (_head(skeleton, nodes, visible) + LABEL_ABOVE * UP)[None],
                np.array([[*person_colour(person.id), OPAQUE]]),
                (0.0, 0.0, LABEL_HEIGHT),
                label(person),
            )


def alpha_of(std: np.ndarray) -> np.ndarray:
    """Alpha of joints by their standard deviation in metres, which it falls with; NaN counts as half way."""
    known = np.where(np.isnan(std), HALF_STD, std)
    return FAINTEST + (OPAQUE - FAINTEST) / (1.0 + (known / HALF_STD) ** 2)


def label(person: Person3D) -> str:
    """Id and height, with `assumed` where no one measured it."""
    if np.isnan(person.height):
        return person.id
    return f"{person.id}  {person.height:.2f} m" + (
        " assumed" if person.scale_source == ScaleSource.DEFAULT else ""
    )


def _ellipsoids(
    skeleton: Skeleton, person: Person3D, number: int, nodes: np.ndarray, visible: np.ndarray
) -> Iterator[MarkerSpec]:
    """One standard deviation about each joint, relative to the root, and of the root along each axis."""
    colour = np.array([[*person_colour(person.id), ELLIPSOID_ALPHA]])
    unsure = np.flatnonzero(visible[: len(skeleton)] & (person.std > 0.0))
    scales, turns = _axes(person, unsure)
    for joint, scale, turn in zip(unsure.tolist(), scales.tolist(), turns.tolist(), strict=True):
        key = number * PER_PERSON + joint
        place = nodes[joint][None]
        yield MarkerSpec("uncertainty", key, Shape.ELLIPSOID, place, colour, tuple(scale), turn=tuple(turn))
    root = skeleton.index(skeleton.root)
    if visible[root] and (person.root_std > 0.0).all():
        x, y, z = (2.0 * person.root_std).tolist()
        key = number * PER_PERSON + PER_PERSON - 1
        yield MarkerSpec("uncertainty", key, Shape.ELLIPSOID, nodes[root][None], colour, (x, y, z))


def _axes(person: Person3D, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 3) diameters of one standard deviation of some joints (n,), and quaternions (n, 4) of their axes."""
    if person.covariance is None or not len(joints):
        return 2.0 * person.std[joints, None].repeat(3, 1), np.tile(NO_TURN, (len(joints), 1))
    variance, axes = np.linalg.eigh(covariances.matrices(person.covariance[joints]))
    axes[..., 2] *= np.linalg.det(axes)[:, None]  # a rotation, not a reflection
    flat = MIN_DIAMETER_SHARE**2 * np.square(person.std[joints, None])
    return 2.0 * np.sqrt(np.maximum(variance, flat)), quaternion_of_matrix(axes)


def _head(skeleton: Skeleton, nodes: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(3,) position of the head, or of the topmost visible node where the skeleton has no visible head."""
    for name in HEADS:
        if name in skeleton.nodes and visible[skeleton.index(name)]:
            return nodes[skeleton.index(name)]
    seen = nodes[visible]
    return seen[np.argmax(seen @ UP)]
