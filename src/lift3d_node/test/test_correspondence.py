from __future__ import annotations

import numpy as np
import pytest

from lift3d_node.correspondence import Correspondence
from pose_core.skeleton import COCO17, H36M17, MEDIAPIPE33


def test_same_skeleton_is_left_alone() -> None:
    xy_px, confidence = np.random.default_rng(0).random((33, 2)), np.random.default_rng(1).random(33)
    match = Correspondence("mediapipe33", "mediapipe33")
    assert match.known.all()
    for got, given in zip(match.keypoints(xy_px, confidence), (xy_px, confidence), strict=True):
        np.testing.assert_array_equal(got, given)


def test_coco_to_h36m_by_name() -> None:
    xy_px = np.arange(34.0).reshape(17, 2)
    confidence = np.full(17, 0.9)
    left, right = COCO17.indices("left_hip", "right_hip")
    confidence[left] = 0.4
    match = Correspondence("coco17", "h36m17")
    got, sure = match.keypoints(xy_px, confidence)
    np.testing.assert_array_equal(got[H36M17.index("left_knee")], xy_px[COCO17.index("left_knee")])
    np.testing.assert_array_equal(got[H36M17.index("pelvis")], (xy_px[left] + xy_px[right]) / 2)
    assert sure[H36M17.index("pelvis")] == 0.4
    assert sure[H36M17.index("right_hip")] == 0.9
    for unknown in ("spine", "head_top"):
        assert not match.known[H36M17.index(unknown)]
        assert np.isnan(got[H36M17.index(unknown)]).all()
        assert sure[H36M17.index(unknown)] == 0.0


def test_a_missing_source_makes_the_target_missing() -> None:
    xy_px, confidence = np.ones((33, 2)), np.full(33, 0.5)
    hip = MEDIAPIPE33.index("left_hip")
    xy_px[hip], confidence[hip] = np.nan, 0.0
    got, sure = Correspondence("mediapipe33", "h36m17").keypoints(xy_px, confidence)
    missing = sure == 0.0
    np.testing.assert_array_equal(missing, np.isnan(got).all(1))
    assert {H36M17.joints[i] for i in np.flatnonzero(missing)} == {"pelvis", "left_hip", "spine", "head_top"}


def test_a_network_may_ask_for_what_no_image_shows() -> None:
    xy_px = np.zeros((33, 2))
    xy_px[MEDIAPIPE33.indices("left_shoulder", "right_shoulder")] = [[4.0, 8.0], [0.0, 8.0]]
    match = Correspondence("mediapipe33", "h36m17", approximate=True)
    assert match.known.all()
    got, sure = match.keypoints(xy_px, np.full(33, 0.5))
    np.testing.assert_array_equal(got[H36M17.index("spine")], [1.0, 4.0])
    assert (sure == 0.5).all()


def test_unknown_skeleton_is_named() -> None:
    with pytest.raises(ValueError, match="mediapipe34"):
        Correspondence("mediapipe34", "coco17")
