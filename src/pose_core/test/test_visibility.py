"""Masks of joints and bones."""

from __future__ import annotations

import numpy as np
import pytest

from pose_core.filtering.visibility import bone_mask, joint_mask, node_mask
from pose_core.skeleton import COCO17, HAND21, SKELETONS


def test_a_joint_is_seen_that_is_there_sure_and_inside_the_image() -> None:
    xy_px = np.array([[10.0, 10.0], [np.nan, 10.0], [10.0, 10.0], [-0.6, 10.0], [10.0, 19.6], [19.4, 19.4]])
    confidence = np.array([0.5, 0.9, 0.49, 0.9, 0.9, 0.9])
    assert joint_mask(xy_px, confidence, 0.5, 20, 20).tolist() == [True, False, False, False, False, True]
    assert joint_mask(xy_px, confidence, 0.5).tolist() == [True, False, False, True, True, True]


def test_a_bone_is_seen_where_both_ends_are_and_a_virtual_end_needs_both_of_its_joints() -> None:
    seen = np.ones(17, bool)
    seen[COCO17.index("left_wrist")] = False
    hidden = [name for name, known in zip(COCO17.bones, bone_mask(COCO17, seen), strict=True) if not known]
    assert hidden == [("left_elbow", "left_wrist")]
    seen[COCO17.index("left_hip")] = False
    hidden = [name for name, known in zip(COCO17.bones, bone_mask(COCO17, seen), strict=True) if not known]
    assert set(hidden) == {
        ("left_elbow", "left_wrist"),
        ("pelvis", "neck"),
        ("pelvis", "left_hip"),
        ("pelvis", "right_hip"),
        ("left_hip", "left_knee"),
    }


@pytest.mark.parametrize("name", SKELETONS.names())
def test_masks_of_sequences_are_those_of_their_images(name: str) -> None:
    skeleton = SKELETONS.get(name)
    seen = np.random.default_rng(3).random((5, len(skeleton))) > 0.4
    assert bone_mask(skeleton, seen).tolist() == [bone_mask(skeleton, one).tolist() for one in seen]
    assert bone_mask(skeleton, np.ones(len(skeleton), bool)).all()
    assert not bone_mask(skeleton, np.zeros(len(skeleton), bool)).any()


def test_a_hand_has_no_virtual_points() -> None:
    seen = np.arange(21) % 2 == 0
    assert node_mask(HAND21, seen).tolist() == seen.tolist()
