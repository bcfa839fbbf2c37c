"""A walk whose joint angles OpenSim's inverse kinematics returns: the markers, the model they sit on, and those angles.

The files come from OpenSim's own tests (`Applications/IK/tests/resources`, Apache-2.0): markers that a model of a person (SIMM's
gait2354, scaled to `subject01`) was given by a motion of it, so that each body carries its markers without error. From three or
more of them follows the whole body, and with it the joint centres, condyles and malleoli, which were marked on the person only
while standing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from pose_core.formats.mot import read_mot
from pose_core.formats.trc import read_trc
from pose_core.geometry.align import Similarity, procrustes
from pose_core.markers import MarkerSequence

MODEL = "subject01_simbody.osim"
MARKERS = "subject01_synthetic_marker_data.trc"
ANGLES = "std_subject01_walk1_ik.mot"

EXTENDS = ("knee_angle_r", "knee_angle_l")
"""Coordinates that count extension in this model and flexion in later ones."""
PSIS_APART = 0.08
"""Metres between the two markers that stand for the one on the sacrum; their middle is what counts."""

Point = tuple[str, str]
"""A body of the model, and a marker on it; no marker is the body's origin."""

_LIMBS: Mapping[str, str] = {
    "{S}Hip": "femur_{s}",
    "{S}HJC_study": "femur_{s}",
    "{a}.ASIS_study": "{S}.ASIS",
    "{a}_knee_study": "{S}.Knee.Lat",
    "{a}_mknee_study": "{S}.Knee.Med",
    "{a}_ankle_study": "{S}.Ankle.Lat",
    "{a}_mankle_study": "{S}.Ankle.Med",
    "{a}_calc_study": "{S}.Heel",
    "{S}Heel": "{S}.Heel",
    "{a}_toe_study": "{S}.Toe.Tip",
    "{S}BigToe": "{S}.Toe.Med",
    "{S}SmallToe": "{S}.Toe.Lat",
    "{a}_5meta_study": "{S}.Toe.Lat",
    "{a}_shoulder_study": "{S}.Acromium",
    "{S}Shoulder": "{S}.Acromium",
}
"""Our marker: marker of the model, or body whose origin it is. `{a}` is r or L, as in the markers of the augmentation."""
PLACED: Mapping[str, str] = {
    ours.format(S=S, a=a): theirs.format(S=S, s=S.lower())
    for S, a in (("R", "r"), ("L", "L"))
    for ours, theirs in _LIMBS.items()
}
MIDDLES: Mapping[str, tuple[str, str]] = {
    "Hip": ("RHip", "LHip"),
    "Neck": ("RShoulder", "LShoulder"),
    "RKnee": ("r_knee_study", "r_mknee_study"),
    "LKnee": ("L_knee_study", "L_mknee_study"),
    "RAnkle": ("r_ankle_study", "r_mankle_study"),
    "LAnkle": ("L_ankle_study", "L_mankle_study"),
}


@dataclass(frozen=True)
class Walk:
    """T frames of one person."""

    markers: MarkerSequence
    """Under the names that `refine_node` knows; X forward, Y up, Z right."""
    degrees: Mapping[str, np.ndarray]
    """(T,) by coordinate, with the signs of the Rajagopal 2016 model."""


def read(folder: Path) -> Walk:
    """The walk in the folder of the three files. Raises ValueError where they do not fit together."""
    recorded = read_trc(folder / MARKERS)
    sites = sites_of(folder / MODEL)
    solved = read_mot(folder / ANGLES)
    degrees = {name: -values if name in EXTENDS else values for name, values in solved.columns.items()}
    if len(solved.stamps) != len(recorded):
        raise ValueError(f"{folder / MARKERS} and {folder / ANGLES} have different numbers of frames")
    bodies = bodies_of(recorded, sites)
    xyz = {}
    for ours, theirs in PLACED.items():
        body, place = sites[theirs] if theirs in sites else (theirs, np.zeros(3))
        xyz[ours] = _moved(bodies[body], place)
    for name, ends in MIDDLES.items():
        xyz[name] = np.mean([xyz[end] for end in ends], 0)
    body, place = sites["V.Sacral"]
    for name, aside in (("r.PSIS_study", 0.5), ("L.PSIS_study", -0.5)):
        xyz[name] = _moved(bodies[body], place + np.array([0.0, 0.0, aside * PSIS_APART]))
    points = np.stack(list(xyz.values()), 1)
    markers = MarkerSequence(tuple(xyz), recorded.stamps, points, np.full(points.shape[:2], np.nan))
    return Walk(markers, degrees)


def _moved(body: Similarity, place: np.ndarray) -> np.ndarray:
    """(T, 3) where a point of a body is that lies at `place` (3,) in it."""
    points = np.broadcast_to(place, (len(body.t), 1, 3))
    moved: np.ndarray = body.apply(points)[:, 0]
    return moved


def sites_of(model: Path) -> dict[str, tuple[str, np.ndarray]]:
    """Of each marker of an OpenSim model (version 2 of the format): the body, and where on it (3,), metres.

    Raises ValueError for a file without any.
    """
    try:
        root = ElementTree.parse(model).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{model}: not an OpenSim model, which is XML: {error}") from error
    sites = {
        str(marker.get("name")): (
            (marker.findtext("body") or "").strip(),
            np.array((marker.findtext("location") or "").split(), float),
        )
        for marker in root.iter("Marker")
    }
    if not sites or any(not body or place.shape != (3,) for body, place in sites.values()):
        raise ValueError(f"{model}: not an OpenSim model of version 2 with markers")
    return sites


def bodies_of(recorded: MarkerSequence, sites: Mapping[str, tuple[str, np.ndarray]]) -> dict[str, Similarity]:
    """Where each body with three or more markers is, from its own axes to the world's: least squares, frame by frame."""
    carried: dict[str, list[str]] = {}
    for name, (body, _) in sites.items():
        if name in recorded.names:
            carried.setdefault(body, []).append(name)
    found = {}
    for body, names in carried.items():
        if len(names) >= 3:
            there = np.stack([recorded.of(name) for name in names], 1)
            own = np.broadcast_to(np.stack([sites[name][1] for name in names]), there.shape)
            found[body] = procrustes(own, there, scaled=False)
    return found
