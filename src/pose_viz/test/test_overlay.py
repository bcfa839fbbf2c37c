"""Overlays, pixel by pixel where it matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pose_core.people import StageTime
from pose_core.skeleton import MEDIAPIPE33
from pose_viz import overlay
from pose_viz.overlay import draw, resized, times_text
from pose_viz.palette import SIDES, bgr255, person_colour, side_colour
from pose_viz.params import VizParams

PLAIN = VizParams(overlay_legend=False, overlay_times=False, overlay_boxes=False, show_labels=False)
BACKGROUND = 60


def frame(height=480, width=640):
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def pixel(image, xy_px):
    x, y = np.rint(xy_px).astype(int)
    return tuple(image[y, x].tolist())


def joint(studio, name, at=(0.0, 0.0, 3.0)):
    return studio.person2d(at=at).xy_px[MEDIAPIPE33.index(name)]


def test_joints_have_the_colour_of_their_side_where_the_camera_saw_them(studio):
    image = draw(frame(), studio.people2d(studio.person2d()), params=PLAIN)
    for name, side in (
        ("left_wrist", "left"),
        ("right_wrist", "right"),
        ("left_knee", "left"),
        ("nose", "centre"),
    ):
        assert pixel(image, joint(studio, name)) == bgr255(SIDES[side][0]), name
    # Their left is to the right in the image.
    assert joint(studio, "left_wrist")[0] > joint(studio, "right_wrist")[0]


def test_bones_have_the_colour_of_their_side(studio):
    image = draw(frame(), studio.people2d(studio.person2d()), params=PLAIN)
    for parent, child, side in (
        ("left_hip", "left_knee", "left"),
        ("right_shoulder", "right_elbow", "right"),
    ):
        assert pixel(image, (joint(studio, parent) + joint(studio, child)) / 2.0) == bgr255(SIDES[side][0])
    trunk = np.mean(
        [joint(studio, f"{side}_{name}") for side in ("left", "right") for name in ("hip", "shoulder")], 0
    )
    assert pixel(image, trunk) == bgr255(SIDES["centre"][0])


def test_a_swap_of_sides_shows(studio):
    person = studio.person2d()
    swapped = replace(person, xy_px=person.xy_px[MEDIAPIPE33.flip])
    image = draw(frame(), studio.people2d(swapped), params=PLAIN)
    assert pixel(image, joint(studio, "left_wrist")) == bgr255(SIDES["right"][0])


def test_second_person_is_tinted(studio):
    at = (0.9, 0.0, 3.0)
    people = studio.people2d(studio.person2d(), studio.person2d("p2", at))
    image = draw(frame(), people, params=PLAIN)
    assert pixel(image, joint(studio, "left_wrist", at)) == bgr255(side_colour("left", "p2"))


def test_the_input_is_untouched_and_nothing_is_shared(studio):
    image = frame()
    image.flags.writeable = False
    drawn = draw(image, studio.people2d(studio.person2d()))
    assert (image == BACKGROUND).all()
    assert not np.shares_memory(image, drawn)
    assert drawn.shape == image.shape
    assert drawn.flags.writeable


def test_nobody_leaves_the_image_as_it_is(studio):
    np.testing.assert_array_equal(draw(frame(), studio.people2d(), params=PLAIN), frame())


def test_only_the_person_is_changed(studio):
    person = studio.person2d()
    changed = (draw(frame(), studio.people2d(person), params=PLAIN) != frame()).any(-1)
    rows, columns = np.nonzero(changed)
    left, top, right, bottom = person.box_px
    assert left < columns.min()
    assert columns.max() < right
    assert top < rows.min()
    assert rows.max() < bottom


def test_low_confidence_is_translucent_small_and_then_gone(studio):
    def drawn(confidence):
        person = studio.person2d(joint_confidence=studio.without(np.ones(33), "left_wrist", value=confidence))
        return draw(frame(), studio.people2d(person), params=replace(PLAIN, min_confidence=0.1))

    wrist = joint(studio, "left_wrist")
    solid, faint, gone = (pixel(drawn(confidence), wrist) for confidence in (0.9, 0.3, 0.05))
    colour = np.array(bgr255(SIDES["left"][0]))
    np.testing.assert_array_equal(solid, colour)
    np.testing.assert_allclose(faint, 0.45 * colour + 0.55 * BACKGROUND, atol=1.0)
    assert gone == (BACKGROUND,) * 3


def test_surer_joints_are_larger(studio):
    def area(confidence):
        joints = np.full((33, 2), np.nan)
        joints[0] = (320.0, 240.0)
        joints[MEDIAPIPE33.index("left_ankle")] = (320.0, 470.0)  # so that the person has a size
        person = studio.person2d(xy_px=joints, joint_confidence=np.full(33, confidence))
        changed = (draw(frame(), studio.people2d(person), params=PLAIN) != frame()).any(-1)
        return changed[200:280].sum()

    assert area(0.5) < area(0.75) < area(1.0)


def test_missing_joints_are_not_drawn_and_break_nothing(studio):
    person = studio.person2d()
    gone = ("left_wrist", "right_hip")
    holey = replace(
        person,
        xy_px=studio.without(person.xy_px, *gone),
        joint_confidence=studio.without(person.joint_confidence, *gone, value=0.0),
    )
    image = draw(frame(), studio.people2d(holey))
    assert pixel(image, joint(studio, "right_hip")) == (BACKGROUND,) * 3
    assert pixel(image, joint(studio, "left_elbow")) == bgr255(SIDES["left"][0])


def test_somebody_wholly_missing(studio):
    nobody = studio.person2d(
        xy_px=np.full((33, 2), np.nan), joint_confidence=np.zeros(33), box_px=np.full(4, np.nan)
    )
    np.testing.assert_array_equal(draw(frame(), studio.people2d(nobody), params=PLAIN), frame())


@settings(max_examples=50, deadline=None)
@given(
    xy_px=arrays(
        np.float64, (33, 2), elements=st.floats(-1e30, 1e30) | st.sampled_from([np.nan, np.inf, 5e8])
    ),
    box_px=arrays(np.float64, 4, elements=st.floats(-1e12, 1e12) | st.just(np.nan)),
    confidence=arrays(np.float64, 33, elements=st.floats(0.0, 1.0)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_coordinates_are_safe(studio, xy_px, box_px, confidence, size):
    person = studio.person2d(xy_px=xy_px, box_px=box_px, joint_confidence=confidence)
    xyz = np.concatenate([xy_px, np.abs(xy_px[:, :1])], axis=1)
    xyz[~(np.abs(xyz) < 1e12)] = np.nan
    people3d = studio.people3d(studio.person3d(xyz=xyz))
    image = draw(frame(*size), studio.people2d(person), people3d, studio.camera)
    assert image.shape == (*size, 3)


def test_a_person_half_out_of_the_image_is_drawn_to_the_border(studio):
    at = (-1.9, 0.0, 3.0)
    person = studio.person2d(at=at)
    assert person.xy_px[MEDIAPIPE33.index("left_shoulder"), 0] > 0.0
    assert person.xy_px[MEDIAPIPE33.index("right_wrist"), 0] < 0.0
    image = draw(frame(), studio.people2d(person))
    assert pixel(image, joint(studio, "left_shoulder", at)) == bgr255(SIDES["left"][0])


def test_shrinks_to_the_longer_side_and_draws_where_things_then_are(studio):
    image = draw(frame(), studio.people2d(studio.person2d()), params=replace(PLAIN, overlay_max_size=320))
    assert image.shape == (240, 320, 3)
    wrist = (joint(studio, "left_wrist") + 0.5) / 2.0 - 0.5
    assert pixel(image, wrist) == bgr255(SIDES["left"][0])
    assert draw(frame(), studio.people2d(), params=replace(PLAIN, overlay_max_size=0)).shape == (480, 640, 3)
    assert resized(frame(640, 480), 64).shape == (64, 48, 3)
    assert resized(frame(10, 1000), 50).shape == (1, 50, 3)


def test_an_image_of_another_size_than_the_people(studio):
    image = draw(
        frame(960, 1280), studio.people2d(studio.person2d()), params=replace(PLAIN, overlay_max_size=0)
    )
    wrist = (joint(studio, "right_wrist") + 0.5) * 2.0 - 0.5
    assert pixel(image, wrist) == bgr255(SIDES["right"][0])


def test_reprojection_lies_where_the_camera_projects_it(studio):
    at = (0.6, 0.0, 3.0)
    people3d = studio.people3d(studio.person3d(at=at))
    image = draw(frame(), studio.people2d(), people3d, studio.camera, PLAIN)
    shank = (joint(studio, "left_knee", at) + joint(studio, "left_ankle", at)) / 2.0
    assert pixel(image, shank) == bgr255(overlay.REPROJECTED)
    off = draw(
        frame(), studio.people2d(), people3d, studio.camera, replace(PLAIN, overlay_reprojection=False)
    )
    np.testing.assert_array_equal(off, frame())
    np.testing.assert_array_equal(draw(frame(), studio.people2d(), people3d, None, PLAIN), frame())


def test_reprojection_with_a_camera_of_another_resolution(studio):
    people3d = studio.people3d(studio.person3d())
    small = studio.camera.scaled(320, 240)
    np.testing.assert_array_equal(
        draw(frame(), studio.people2d(), people3d, small, PLAIN),
        draw(frame(), studio.people2d(), people3d, studio.camera, PLAIN),
    )


def test_somebody_behind_the_camera_is_not_drawn(studio):
    people3d = studio.people3d(studio.person3d(at=(0.0, 0.0, -3.0)))
    np.testing.assert_array_equal(draw(frame(), studio.people2d(), people3d, studio.camera, PLAIN), frame())


def test_boxes_have_corners_in_the_persons_colour(studio):
    person = studio.person2d("p2", box_px=np.array([100.0, 100.0, 300.0, 400.0]))
    image = draw(frame(), studio.people2d(person), params=replace(PLAIN, overlay_boxes=True))
    for corner in ((100, 100), (300, 100), (100, 400), (300, 400)):
        assert pixel(image, corner) == bgr255(person_colour("p2"))
    assert pixel(image, (100, 250)) == (BACKGROUND,) * 3  # corners only


def test_labels_times_and_legend_are_drawn_where_asked(studio):
    person = studio.person2d(box_px=np.array([300.0, 200.0, 400.0, 300.0]), joint_confidence=np.zeros(33))
    times = (StageTime("source", 0, 1_000_000), StageTime("pose2d", 1_000_000, 46_000_000))
    people = replace(studio.people2d(person), times=times)
    for change, area in (
        ({"show_labels": True}, np.s_[180:200, 300:340]),
        ({"overlay_times": True}, np.s_[0:40, 0:200]),
        ({"overlay_legend": True}, np.s_[400:480, 0:100]),
    ):
        changed = (draw(frame(), people, params=replace(PLAIN, **change)) != frame()).any(-1)
        assert changed[area].any()
        changed[area] = False
        assert not changed[60:170].any()
        assert not changed[:, 400:].any()


def test_legend_has_the_colours_of_the_sides(studio):
    image = draw(frame(), studio.people2d(), params=replace(PLAIN, overlay_legend=True))
    for side in SIDES:
        assert (image == bgr255(SIDES[side][0])).all(-1).any()


def test_times_text():
    ms = 1_000_000
    times = (
        StageTime("source", 10 * ms, 12 * ms),
        StageTime("detect", 13 * ms, 56 * ms),
        StageTime("pose2d", 12 * ms, 57 * ms),
        StageTime("lift3d", 58 * ms, 60 * ms),
    )
    assert times_text(times) == "age 50 ms   detect 43  pose2d 45  lift3d 2"
    assert times_text(()) == ""
    assert times_text(times[:1]) == "age 2 ms"


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_images_are_refused(studio, image):
    with pytest.raises(ValueError, match="uint8 in BGR"):
        draw(image, studio.people2d())
