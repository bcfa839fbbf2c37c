"""Joints of one skeleton made from those of another, by names, by means and by linear rules.

A joint that both skeletons have, or that one has as a virtual point, is taken as it is. Others lie close to a straight line
through known ones: the skull's top continues from neck to ears, the spine runs from pelvis to neck. Such rules hold for 2D and
3D alike (weights sum to 1), err by centimetres where the body bends, and are marked as not `exact`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from pose_core.skeleton import SIDES, SKELETONS, Skeleton, remap, side
from pose_core.types import Array, Sets, SetWeights

POINT: Mapping[tuple[str, str], str] = {
    ("mpi_inf28", "neck"): "throat",
    ("mpi_inf28", "spine"): "spine1",
    ("pose2sim22", "head"): "head_top",
}
"""(skeleton, joint): the point of the body that it is, where others call another point so.

MPI-INF-3DHP counts four joints up the spine, and its neck is above the shoulders' line; Pose2Sim's head is the crown."""

Rule = Mapping[str, float]

RULES: Mapping[str, tuple[Rule, ...]] = {
    # Human3.6M's spine halves the way from pelvis to neck: the average skeleton of its subject 1 has 0.233 and 0.257 m.
    "spine": ({"pelvis": 0.5, "neck": 0.5}, {"spine2": 1.0}),
    # Of 25,021 frames of the CMU motion capture, the vertebrae's least-squares shares of the way, 15-40 mm RMS.
    "spine1": ({"pelvis": 0.57, "neck": 0.43},),
    "spine2": ({"pelvis": 0.35, "neck": 0.65},),
    "spine3": ({"pelvis": 0.23, "neck": 0.77},),
    "spine4": ({"pelvis": 0.12, "neck": 0.88},),
    "neck": ({"spine4": 1.0},),
    "{}_clavicle": ({"pelvis": 0.1, "neck": 0.7, "{}_shoulder": 0.2},),
    # The same for the head's axis, on which neck, base of the skull, middle of the ears and crown lie; 14, 24 and 34 mm RMS.
    "throat": ({"neck": 0.8, "left_ear": 0.1, "right_ear": 0.1}, {"neck": 0.76, "head_top": 0.24}),
    "head": ({"neck": 0.32, "left_ear": 0.34, "right_ear": 0.34}, {"neck": 0.5, "head_top": 0.5}),
    "head_top": ({"neck": -0.7, "nose": 0.22, "left_ear": 0.74, "right_ear": 0.74},),
    "{}_hand": ({"{}_index": 0.5, "{}_pinky": 0.5},),
    # Ball of the foot; 3 mm RMS.
    "{}_foot": ({"{}_ankle": 0.3, "{}_foot_index": 0.7}, {"{}_ankle": 0.3, "{}_big_toe": 0.7}),
    "{}_toe": ({"{}_foot_index": 1.0}, {"{}_big_toe": 1.0}),
    "{}_foot_index": ({"{}_big_toe": 1.0}, {"{}_toe": 1.0}),
    "{}_big_toe": ({"{}_foot_index": 1.0}, {"{}_toe": 1.0}),
}
"""Points of the body as sums of others, by weight; `{}` is the side. The first rule whose points are all known counts."""


@dataclass(frozen=True)
class Conversion:
    """How the joints of skeleton `source` make those of `target`; see `conversion`."""

    source: Skeleton
    target: Skeleton
    matrix: (
        Array  # (J_target, J_source) `target = matrix @ source`; a row of NaN where the source cannot tell
    )
    exact: Array  # (J_target,) bool: the same point of the body, or the mean that defines it
    provenance: tuple[str, ...]
    """Of each target joint: a name, a sum such as `0.5 pelvis + 0.5 neck`, or empty where the source cannot tell."""

    @cached_property
    def known(self) -> Array:
        """(J_target,) bool: which joints of the target the source can tell."""
        result: Array = ~np.isnan(self.matrix).any(1)
        return result

    @cached_property
    def _weights(self) -> Array:
        return np.where(self.known[:, None], self.matrix, 0.0)

    @cached_property
    def needs(self) -> Array:
        """(J_target, J_source) bool: the joints that make each joint."""
        result: Array = self._weights != 0.0
        return result

    def apply(self, positions: Sets, confidence: SetWeights) -> tuple[Array, Array]:
        """Positions (..., J_target, D) and confidences (..., J_target) from those of the source; NaN and 0 where one is missing.

        `positions` may be pixels or metres. A joint that is made of several is missing where one of them is (NaN), and as sure
        as the least of them.
        """
        if self.source is self.target:
            return positions, confidence
        missing = np.isnan(positions).any(-1)
        lacking = (missing[..., None, :] & self.needs).any(-1)
        sure = self.known & ~lacking
        converted = np.matmul(self._weights, np.where(missing[..., None], 0.0, positions))
        least = np.where(self.needs, confidence[..., None, :], np.inf).min(-1)
        return np.where(sure[..., None], converted, np.nan), np.where(sure, least, 0.0)


@cache
def conversion(source: str, target: str, approximate: bool = True) -> Conversion:
    """The conversion between two skeletons, by their names; without `approximate`, of what is exact alone.

    Raises ValueError for unknown names.
    """
    start, end = SKELETONS.get(source), SKELETONS.get(target)
    nodes = {_point(start, node): node for node in start.nodes}
    node_weights = start.with_virtual(np.eye(len(start)))
    matrix = remap(start, end)
    exact = np.ones(len(end), bool)
    provenance = list(end.joints)
    for row, joint in enumerate(end.joints):
        point = _point(end, joint)
        if nodes.get(point) == joint:
            continue
        exact[row] = point in nodes
        rule: Rule = {point: 1.0} if exact[row] else _rule(point, nodes) if approximate else {}
        weighted = [weight * node_weights[start.index(nodes[name])] for name, weight in rule.items()]
        matrix[row] = sum(weighted) if rule else np.nan
        provenance[row] = " + ".join(f"{weight:g} {nodes[name]}" for name, weight in rule.items())
    for array in (matrix, exact):
        array.flags.writeable = False  # shared by all who ask
    return Conversion(start, end, matrix, exact, tuple(provenance))


def _point(skeleton: Skeleton, node: str) -> str:
    return POINT.get((skeleton.name, node), node)


def _rule(point: str, known: Mapping[str, str]) -> Rule:
    """The first rule for `point` that needs only `known` points, for its side; empty where there is none."""
    own = side(point)
    rules = RULES.get(point.replace(own, "{}") if own in SIDES else point, ())
    sided = ({name.format(own): weight for name, weight in rule.items()} for rule in rules)
    return next((rule for rule in sided if known.keys() >= rule.keys()), {})
