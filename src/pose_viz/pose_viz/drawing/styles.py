"""The styles of a picture: which colour each bone and joint has, and what a legend says of that. One table, `STYLES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pose_core.filtering.visibility import bone_mask
from pose_core.registry import Registry
from pose_core.skeleton import Skeleton, side, without_side
from pose_viz.drawing.colours import distinct
from pose_viz.palette import BONE, GROUPS, JOINT, MASKED, SIDES, Colour, side_colour

PARTS: Mapping[str, tuple[str, ...]] = {
    "arms": ("elbow", "wrist", "hand", "index", "pinky", "thumb"),
    "legs": ("knee", "ankle", "heel", "foot", "foot_index", "toe", "big_toe", "small_toe"),
    "torso": ("pelvis", "spine", "spine2", "spine3", "spine4", "neck", "clavicle", "shoulder", "hip"),
    "face": ("nose", "eye_inner", "eye", "eye_outer", "ear", "mouth", "head", "head_top"),
}
"""Parts of the body by the names of the joints that their bones lead to, without sides."""


class Entry(NamedTuple):
    """A line of a legend."""

    text: str
    colour: Colour
    dashed: bool = False
    disc: bool = False


class Look(NamedTuple):
    """The colours of one person."""

    bones: tuple[Colour, ...]
    joints: tuple[Colour, ...]
    legend: tuple[Entry, ...]


@dataclass(frozen=True)
class Style:
    """One way to draw people."""

    name: str
    says: str
    """What it shows, in a few words."""
    look: Callable[[Skeleton, np.ndarray], Look]
    """From the skeleton and the mask (J,) of the joints that can be seen."""
    named: bool = False
    """Whether each bone is labelled with the names of its landmarks."""
    filled: bool = False
    """Whether joints that cannot be seen are inferred."""
    masked: bool = False
    """Whether joints that cannot be seen are drawn as such, rather than paler or not at all."""
    boxed: bool = False
    """Whether it is that of `pose_viz.overlay`, with boxes and ids."""
    flat: bool = False
    """Whether it is a plot in space rather than a drawing on the image."""


def bone_text(skeleton: Skeleton, bone: int) -> str:
    """The names of a bone's landmarks: `left shoulder - elbow` where both are of one side."""
    start, end = skeleton.bones[bone]
    second = without_side(end) if side(start) == side(end) != "centre" else end
    return f"{start} \N{EN DASH} {second}".replace("_", " ")


def part_of(bone: tuple[str, str]) -> str:
    """The part of the body that a bone (parent, child) belongs to; of a hand, its finger."""
    child = without_side(bone[1])
    return next((part for part, names in PARTS.items() if child in names), child.partition("_")[0])


def _plain(skeleton: Skeleton, _seen: np.ndarray) -> Look:
    entries = (Entry("bone", BONE), Entry("joint", JOINT, disc=True))
    return Look((BONE,) * len(skeleton.bones), (JOINT,) * len(skeleton), entries)


def _masks(skeleton: Skeleton, seen: np.ndarray) -> Look:
    bones = tuple(BONE if known else MASKED for known in bone_mask(skeleton, seen))
    joints = tuple(BONE if known else MASKED for known in seen)
    return Look(bones, joints, (Entry("seen", BONE), Entry("not seen", MASKED)))


def _sides(skeleton: Skeleton, _seen: np.ndarray) -> Look:
    return Look(
        tuple(side_colour(name) for name in skeleton.bone_sides),
        tuple(side_colour(side(joint)) for joint in skeleton.joints),
        tuple(Entry(name, side_colour(name)) for name in SIDES if name in skeleton.bone_sides),
    )


def _connections(skeleton: Skeleton, _seen: np.ndarray) -> Look:
    # The colours that differ most go to the bones of trunk and limbs; short ones of fingers and faces come last.
    order = sorted(range(len(skeleton.bones)), key=lambda bone: detail(skeleton, bone))
    colours = dict(zip(order, distinct(len(order)), strict=True))
    bones = tuple(colours[bone] for bone in range(len(order)))
    entries = tuple(Entry(bone_text(skeleton, bone), bones[bone]) for bone in order)
    return Look(bones, _of_bones(skeleton, bones), entries)


def _groups(skeleton: Skeleton, _seen: np.ndarray) -> Look:
    parts = [part_of(bone) for bone in skeleton.bones]
    own = [part for part in dict.fromkeys(parts) if part not in GROUPS]  # fingers
    colours = GROUPS | dict(zip(own, distinct(len(own)), strict=True))
    bones = tuple(colours[part] for part in parts)
    order = (*GROUPS, *own)
    entries = tuple(Entry(part, colours[part]) for part in order if part in parts)
    return Look(bones, _of_bones(skeleton, bones), entries)


def _filled(skeleton: Skeleton, seen: np.ndarray) -> Look:
    look = _groups(skeleton, seen)
    return look._replace(legend=(*look.legend, Entry("inferred", side_colour("centre"), dashed=True)))


def detail(skeleton: Skeleton, bone: int) -> tuple[int, int]:
    """Sorts bones: trunk and limbs before fingers, feet and face."""
    child = without_side(skeleton.bones[bone][1])
    fine = part_of(skeleton.bones[bone]) not in ("arms", "legs", "torso") or child in (
        *("hand", "index", "pinky", "thumb"),
        *("heel", "foot", "foot_index", "toe", "big_toe", "small_toe"),
    )
    return int(fine), bone


def _of_bones(skeleton: Skeleton, bones: tuple[Colour, ...]) -> tuple[Colour, ...]:
    """Colour of each joint: that of the bone that leads to it; of the root, that of its first bone."""
    leading = {int(child): colour for (_, child), colour in zip(skeleton.edges, bones, strict=True)}
    return tuple(leading.get(joint, bones[0]) for joint in range(len(skeleton)))


STYLES: Registry[Style] = Registry("style")

for _style in (
    Style("plain", "green bones, red joints", _plain),
    Style("masks", "green what can be seen, grey what cannot", _masks, masked=True),
    Style("named", "each bone with the names of its landmarks", _sides, named=True),
    Style("legend", "a colour per connection, and a legend", _connections),
    Style("grouped", "arms, legs, torso and face by colour, and a legend", _groups),
    Style(
        "grouped-filled",
        "the same, with joints that cannot be seen inferred and dashed",
        _filled,
        filled=True,
    ),
    Style("flat", "keypoints in space, at Z = 0", _groups, flat=True),
    Style("sides", "left and right by colour, with boxes and ids", _sides, boxed=True),
):
    STYLES.register(_style.name)(_style)
