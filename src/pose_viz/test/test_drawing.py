"""Pictures in each style, pixel by pixel where it matters."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.conversion import conversion
from pose_core.people import People2D, Person2D
from pose_core.skeleton import HAND21, MEDIAPIPE33, SKELETONS
from pose_viz.drawing.artist import Artist, converted, transparent
from pose_viz.drawing.colours import difference, distinct
from pose_viz.drawing.placing import Box, Wish, place_labels, place_legend, spread
from pose_viz.drawing.space import Space
from pose_viz.drawing.styles import STYLES, bone_text, part_of
from pose_viz.drawing.text import TEXT_MIN, panel_size, text_width
from pose_viz.palette import BONE, GROUPS, JOINT, MASKED, SIDES, bgr255

BACKGROUND = 60
ON_IMAGE = tuple(name for name in STYLES.names() if not STYLES.get(name).flat)
BODIES = ("mediapipe33", "coco17", "mpi_inf28", "h36m17")


def frame(height=480, width=640, level=BACKGROUND):
    return np.full((height, width, 3), level, np.uint8)


def drawn(studio, style, people=None, skeleton="", image=None, **options):
    people = studio.people2d(studio.person2d()) if people is None else people
    return Artist(STYLES.get(style), skeleton, **options).draw(frame() if image is None else image, people)


def scaled(people: People2D, factor: float) -> People2D:
    """The same scene in an image of another size."""

    def one(person: Person2D) -> Person2D:
        xy_px = (person.xy_px + 0.5) * factor - 0.5
        return replace(person, xy_px=xy_px, box_px=person.box_px * factor)

    return replace(
        people,
        width=round(people.width * factor),
        height=round(people.height * factor),
        people=tuple(one(person) for person in people.people),
    )


def pixel(image, xy_px):
    x, y = np.rint(xy_px).astype(int)
    return tuple(image[y, x].tolist())


def node(studio, name):
    return MEDIAPIPE33.with_virtual(studio.person2d().xy_px)[MEDIAPIPE33.index(name)]


def along(studio, start, end, share=0.5):
    return (1.0 - share) * node(studio, start) + share * node(studio, end)


def unsure(studio, *joints, value=0.2):
    person = studio.person2d()
    return studio.people2d(
        replace(person, joint_confidence=studio.without(person.joint_confidence, *joints, value=value))
    )


def test_plain_has_green_bones_and_red_joints(studio):
    image = drawn(studio, "plain", legend=False).bgr
    assert pixel(image, along(studio, "left_hip", "left_knee")) == bgr255(BONE)
    assert pixel(image, along(studio, "pelvis", "neck")) == bgr255(BONE)
    assert pixel(image, node(studio, "left_knee")) == bgr255(JOINT)


def test_masks_show_what_is_not_seen_in_grey(studio):
    image = drawn(studio, "masks", unsure(studio, "left_knee"), legend=False).bgr
    assert pixel(image, node(studio, "left_knee")) == bgr255(MASKED)
    assert pixel(image, along(studio, "left_hip", "left_knee")) == bgr255(MASKED)
    assert pixel(image, along(studio, "left_knee", "left_ankle")) == bgr255(MASKED)
    assert pixel(image, along(studio, "right_hip", "right_knee")) == bgr255(BONE)
    assert pixel(image, node(studio, "left_hip")) == bgr255(BONE)
    lower = drawn(studio, "masks", unsure(studio, "left_knee"), legend=False, visibility_min=0.1).bgr
    assert pixel(lower, node(studio, "left_knee")) == bgr255(BONE)


def test_joints_outside_the_image_are_masked(studio):
    person = studio.person2d()
    xy_px = np.add(person.xy_px, (0.0, 200.0))
    image = drawn(studio, "masks", studio.people2d(replace(person, xy_px=xy_px)), legend=False).bgr
    knee, hip = xy_px[MEDIAPIPE33.index("left_knee")], xy_px[MEDIAPIPE33.index("left_hip")]
    assert knee[1] > 480 > hip[1] + 5
    assert pixel(image, 0.95 * hip + 0.05 * knee) in (bgr255(MASKED), bgr255(BONE), (20, 20, 20))
    assert (image == bgr255(MASKED)).all(-1).any()


def test_grouped_has_a_colour_for_each_part_of_the_body(studio):
    image = drawn(studio, "grouped", legend=False).bgr
    for start, end, part in (
        ("left_shoulder", "left_elbow", "arms"),
        ("right_knee", "right_ankle", "legs"),
        ("pelvis", "neck", "torso"),
        ("neck", "nose", "face"),
    ):
        assert pixel(image, along(studio, start, end)) == bgr255(GROUPS[part]), part


def test_a_legend_has_a_colour_of_its_own_for_each_connection(studio):
    looked = STYLES.get("legend").look(MEDIAPIPE33, np.ones(33, bool))
    assert len(set(looked.bones)) == len(MEDIAPIPE33.bones) == len(looked.legend)
    image = drawn(studio, "legend", legend=False).bgr
    for start, end in (("left_hip", "left_knee"), ("right_elbow", "right_wrist"), ("pelvis", "neck")):
        colour = looked.bones[MEDIAPIPE33.bones.index((start, end))]
        assert pixel(image, along(studio, start, end)) == bgr255(colour)
        assert (bone_text(MEDIAPIPE33, MEDIAPIPE33.bones.index((start, end))), colour) in [
            entry[:2] for entry in looked.legend
        ]


def test_the_colours_of_a_legend_stand_in_the_picture(studio):
    picture = drawn(studio, "grouped")
    left, top, right, bottom = map(round, picture.legend)
    panel = picture.bgr[top:bottom, left:right]
    for colour in GROUPS.values():
        assert (panel == bgr255(colour)).all(-1).any()
    # What is not of the legend is as without it.
    without = drawn(studio, "grouped", legend=False).bgr
    rest = np.ones(without.shape[:2], bool)
    rest[top:bottom, left:right] = False
    assert (picture.bgr[rest] == without[rest]).all()


def test_an_inferred_bone_is_dashed_and_a_seen_one_is_not(studio):
    picture = drawn(studio, "grouped-filled", unsure(studio, "left_wrist"), legend=False).bgr
    # By symmetry: the right forearm's reflection, which here is the left forearm itself.
    values = [
        pixel(picture, along(studio, "left_elbow", "left_wrist", share))
        for share in np.linspace(0.2, 0.8, 80)
    ]
    arms = [value == bgr255(GROUPS["arms"]) for value in values]
    changes = int(np.count_nonzero(np.diff(arms)))
    assert changes >= 4
    assert any(value == (BACKGROUND,) * 3 for value in values)
    other = [
        pixel(picture, along(studio, "right_elbow", "right_wrist", s)) for s in np.linspace(0.2, 0.8, 80)
    ]
    assert set(other) == {bgr255(GROUPS["arms"])}


def test_without_inference_a_bone_that_is_not_there_is_not_drawn(studio):
    people = unsure(studio, "left_wrist", value=0.0)
    assert (
        pixel(drawn(studio, "grouped", people, legend=False).bgr, along(studio, "left_elbow", "left_wrist"))
        == (BACKGROUND,) * 3
    )


def test_unsure_joints_are_pale(studio):
    image = drawn(studio, "grouped", unsure(studio, "left_knee", value=0.3), legend=False).bgr
    pale = np.array(pixel(image, along(studio, "left_hip", "left_knee")))
    full = np.array(bgr255(GROUPS["legs"]))
    assert (pale != full).any()
    assert (np.abs(pale - full) < np.abs(BACKGROUND - full)).all()


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0, 6.0])
def test_names_lie_inside_and_cover_neither_one_another_nor_the_face(studio, factor):
    people = scaled(studio.people2d(studio.person2d()), factor)
    picture = drawn(studio, "named", people, image=frame(people.height, people.width))
    height, width = picture.bgr.shape[:2]
    assert len(picture.labels) + picture.left_out == len(MEDIAPIPE33.bones)
    assert picture.left_out == 0
    (face,) = picture.faces
    for label in picture.labels:
        assert label.box.within(width, height)
        assert not label.box.overlaps(face), label.text
    for one, other in combinations(picture.labels, 2):
        assert not one.box.overlaps(other.box), (one.text, other.text)
    assert "left hip \N{EN DASH} knee" in {label.text for label in picture.labels}
    nose = people.people[0].xy_px[0]
    assert face.left < nose[0] < face.right
    assert face.top < nose[1] < face.bottom


def test_names_of_several_people_have_letters_of_one_size(studio):
    people = scaled(
        studio.people2d(studio.person2d(at=(-0.7, 0.0, 3.0)), studio.person2d("p2", at=(0.9, 0.2, 4.5))), 2.0
    )
    picture = drawn(studio, "named", people, image=frame(960, 1280))
    assert len(picture.labels) > 40
    assert len({round(label.box.bottom - label.box.top) for label in picture.labels}) == 1


def test_a_tiny_image_is_not_covered_with_names(studio):
    picture = drawn(studio, "named", image=frame(90, 120))
    assert picture.labels == ()
    assert picture.left_out == len(MEDIAPIPE33.bones)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-2.5, 2.5), st.floats(-1.0, 1.0), st.floats(2.0, 6.0)), min_size=1, max_size=4
    ),
    st.sampled_from([(160, 90), (640, 480), (480, 640)]),
)
def test_whoever_stands_where_names_and_legend_keep_off(studio, places, size):
    width, height = size
    people = studio.people2d(*(studio.person2d(f"p{i + 1}", at) for i, at in enumerate(places)))
    picture = drawn(studio, "named", people, image=frame(height, width))
    boxes = [label.box for label in picture.labels]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert box.within(width, height)
        assert not any(box.overlaps(face) for face in picture.faces)
    if picture.legend is not None:
        assert picture.legend.within(width, height)
        assert not any(picture.legend.overlaps(other) for other in (*boxes, *picture.people, *picture.faces))


@pytest.mark.parametrize("style", ON_IMAGE)
def test_a_legend_covers_nobody(studio, style):
    for x in (-1.2, 0.0, 1.2):
        picture = drawn(studio, style, studio.people2d(studio.person2d(at=(x, 0.0, 3.0))))
        assert picture.legend is not None
        assert picture.legend.within(640, 480)
        assert not any(picture.legend.overlaps(body) for body in picture.people)


def test_a_legend_stays_where_it_is_until_somebody_comes_there(studio):
    artist = Artist(STYLES.get("grouped"))
    right = studio.people2d(studio.person2d(at=(1.2, 0.0, 3.0)))
    left = studio.people2d(studio.person2d(at=(-1.6, 0.5, 3.0)))
    middle = studio.people2d(studio.person2d())
    first = artist.draw(frame(), right).legend
    assert artist.draw(frame(), middle).legend == first
    moved = artist.draw(frame(), left).legend
    assert moved is not None
    assert moved != first
    assert artist.draw(frame(), middle).legend == moved


@pytest.mark.parametrize("width", [90, 640, 3840])
def test_sizes_follow_the_image(studio, width):
    people = scaled(studio.people2d(studio.person2d()), width / 640)
    image = frame(people.height, people.width)
    plain = drawn(studio, "plain", people, image=image, legend=False).bgr
    hip = people.people[0].xy_px[MEDIAPIPE33.index("left_hip")]
    knee = people.people[0].xy_px[MEDIAPIPE33.index("left_knee")]
    row = plain[round((hip[1] + knee[1]) / 2)]
    middle = round((hip[0] + knee[0]) / 2)
    near = row[max(middle - width // 40, 0) : middle + width // 40 + 1]
    thick = int((near != BACKGROUND).any(-1).sum())
    assert max(1, width / 300) <= thick <= max(5, width / 60)
    legend = drawn(studio, "grouped", people, image=image).legend
    if legend is not None:
        share = (
            (legend.right - legend.left) * (legend.bottom - legend.top) / (image.shape[0] * image.shape[1])
        )
        assert share <= 0.3
        assert legend.right - legend.left <= width / 2
    assert width < 640 or legend is not None


def test_several_people_are_all_drawn(studio):
    at = (1.0, 0.0, 3.0)
    people = studio.people2d(studio.person2d(at=(-1.0, 0.0, 3.0)), studio.person2d("p2", at))
    image = drawn(studio, "plain", people, legend=False).bgr
    for person in people.people:
        assert pixel(image, person.xy_px[MEDIAPIPE33.index("right_knee")]) == bgr255(JOINT)


@pytest.mark.parametrize("style", STYLES.names())
@pytest.mark.parametrize("skeleton", BODIES)
def test_every_style_draws_every_skeleton(studio, style, skeleton):
    picture = drawn(studio, style, skeleton=skeleton)
    if not STYLES.get(style).flat:
        assert picture.bgr.shape == (480, 640, 3)
        xy_px, _ = conversion("mediapipe33", skeleton).apply(studio.person2d().xy_px, np.ones(33))
        knee = xy_px[SKELETONS.get(skeleton).index("left_knee")]
        assert pixel(picture.bgr, knee) != (BACKGROUND,) * 3


@pytest.mark.parametrize("style", [name for name in STYLES.names() if name != "grouped-filled"])
def test_hands_are_drawn_where_there_are_any(style):
    xy_px = np.stack([np.linspace(100, 400, 21), 240 + 60 * np.sin(np.arange(21))], -1)
    hand = Person2D("h1", 0.9, np.array([100.0, 180.0, 400.0, 300.0]), xy_px, np.ones(21))
    people = People2D(10**9, "cam", "hand21", 640, 480, (hand,))
    picture = Artist(STYLES.get(style)).draw(frame(), people)
    assert (picture.bgr != BACKGROUND).any()
    assert {part_of(bone) for bone in HAND21.bones} == {"thumb", "index", "middle", "ring", "pinky"} or style


def test_what_cannot_be_drawn_is_refused(studio):
    with pytest.raises(ValueError, match="shoulders and hips"):
        Artist(STYLES.get("grouped-filled"), "hand21")
    with pytest.raises(ValueError, match="no joint that keypoints of 'mediapipe33' tell"):
        converted(replace(studio.people2d(), skeleton="mediapipe33"), "hand21")
    with pytest.raises(ValueError, match="uint8 in BGR"):
        Artist(STYLES.get("plain")).draw(np.zeros((4, 4), np.uint8), studio.people2d())
    with pytest.raises(ValueError, match="unknown style 'plian'; did you mean 'plain'"):
        STYLES.get("plian")


@pytest.mark.parametrize("style", ON_IMAGE)
def test_nobody_leaves_the_image_as_it_is_and_shared_with_nobody(studio, style):
    image = frame()
    image.flags.writeable = False
    picture = drawn(studio, style, studio.people2d(), image=image)
    assert (picture.bgr == BACKGROUND).all()
    assert not np.shares_memory(picture.bgr, image)


@pytest.mark.parametrize("style", ON_IMAGE)
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (16, 1)])
def test_tiny_images_are_drawn_on(studio, style, size):
    assert drawn(studio, style, image=frame(*size)).bgr.shape == (*size, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ON_IMAGE))
def test_wild_keypoints_draw_something_or_nothing(studio, seed, style):
    random = np.random.default_rng(seed)
    xy_px = random.normal(0, 1, (33, 2)) * 10.0 ** random.integers(-3, 40, (33, 2))
    xy_px[random.random(33) < 0.2] = random.choice([np.nan, np.inf, -np.inf])
    person = replace(
        studio.person2d(), xy_px=xy_px, joint_confidence=random.random(33), box_px=xy_px[:2].ravel()
    )
    assert drawn(studio, style, studio.people2d(person)).bgr.shape == (480, 640, 3)


def test_transparent_pictures_hold_the_people_alone(studio):
    artist = Artist(STYLES.get("plain"), legend=False)
    people = studio.people2d(studio.person2d())
    cut = transparent(artist, 640, 480, people)
    assert cut.shape == (480, 640, 4)
    assert cut[0, 0].tolist() == [0, 0, 0, 0]
    assert pixel(cut, node(studio, "left_knee")) == (*bgr255(JOINT), 255)
    # On any ground it looks as if it had been drawn there.
    share = cut[..., 3:].astype(float) / 255.0
    laid = cut[..., :3] * share + BACKGROUND * (1.0 - share)
    apart = np.abs(laid - artist.draw(frame(), people).bgr)
    assert apart.max() <= 6.0  # of OpenCV's rounding where lines blend into the ground
    assert apart.mean() < 0.05


def test_unsure_joints_are_half_transparent(studio):
    cut = transparent(
        Artist(STYLES.get("plain"), legend=False), 640, 480, unsure(studio, "left_knee", value=0.3)
    )
    assert 80 < pixel(cut, along(studio, "left_hip", "left_knee"))[3] < 160


def test_flat_is_a_plot_in_the_colours_of_the_groups(studio):
    picture = drawn(studio, "flat").bgr
    assert picture.shape == (640, 640, 3)
    for colour in GROUPS.values():
        assert (np.abs(picture.astype(int) - bgr255(colour)).max(-1) < 8).sum() > 40
    empty = drawn(studio, "flat", studio.people2d()).bgr
    assert not (np.abs(empty.astype(int) - bgr255(GROUPS["legs"])).max(-1) < 8).any()


def test_the_lifted_stand_upright_on_their_floor(studio):
    panel = Space(STYLES.get("grouped")).draw(studio.people3d(studio.person3d()), 400, 480)
    legs = np.argwhere((panel == bgr255(GROUPS["legs"])).all(-1))
    arms = np.argwhere((panel == bgr255(GROUPS["arms"])).all(-1))
    face = np.argwhere((panel == bgr255(GROUPS["face"])).all(-1))
    assert legs[:, 0].mean() > arms[:, 0].mean() > face[:, 0].mean()
    assert np.ptp(np.concatenate([legs, face])[:, 0]) > 240  # they fill the view
    nobody = Space(STYLES.get("grouped")).draw(studio.people3d(), 400, 480)
    assert (nobody == nobody[0, 0]).all()


# Colours


def test_colours_that_stand_for_something_differ_for_everybody():
    assert difference((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)) == 0.0
    red, green = (0.75, 0.35, 0.35), (0.45, 0.55, 0.30)
    assert difference(red, green) < 15.0 < 40.0 < float(np.linalg.norm(np.subtract(red, green))) * 255
    for one, other in combinations(GROUPS.values(), 2):
        assert difference(one, other) > 30.0
    assert difference(BONE, JOINT) > 30.0
    assert difference(BONE, MASKED) > 30.0
    sides = [pair[0] for pair in SIDES.values()]
    assert min(difference(one, other) for one, other in combinations(sides, 2)) > 25.0


def test_connections_have_as_different_colours_as_there_are():
    for count, least in ((18, 16.0), (27, 12.0), (35, 10.0)):
        colours = distinct(count)
        assert len(set(colours)) == count
        assert min(difference(a, b) for a, b in combinations(colours, 2)) > least


# Places


def test_labels_spread_as_little_as_they_must():
    assert spread([0.0, 100.0], [10.0, 10.0], 0.0, 200.0) == [0.0, 100.0]
    assert spread([50.0, 50.0], [10.0, 10.0], 0.0, 200.0) == [45.0, 55.0]
    assert spread([195.0, 196.0], [10.0, 10.0], 0.0, 200.0) == [180.0, 190.0]
    assert spread([-5.0], [10.0], 0.0, 200.0) == [0.0]
    assert spread([0.0, 1.0], [10.0, 10.0], 0.0, 19.0) is None


def test_a_full_column_leaves_out_the_last_wishes():
    wishes = [Wish((float(10 * (i + 1)), 50.0), (30, 20)) for i in range(10)]
    places = place_labels(wishes, Box(80, 0, 120, 100), (200, 100), [], 0.0)
    assert [place is not None for place in places] == [True] * 10
    few = place_labels(wishes, Box(80, 0, 120, 100), (200, 60), [], 0.0)
    assert [place is not None for place in few] == [True] * 3 + [False] * 2 + [True] * 3 + [False] * 2


def test_a_label_moves_off_what_is_taken_or_is_left_out():
    wish = [Wish((50.0, 50.0), (20, 10))]
    around = Box(40, 0, 60, 100)
    (free,) = place_labels(wish, around, (100, 100), [], 2.0)
    (moved,) = place_labels(wish, around, (100, 100), [free], 2.0)
    assert moved is not None
    assert not moved.overlaps(free)
    assert place_labels(wish, around, (100, 100), [Box(0, 0, 100, 100)], 2.0) == [None]


def test_a_legend_takes_a_smaller_size_before_it_covers_somebody():
    taken = [Box(0, 0, 100, 70)]
    assert place_legend([(40, 20)], (100, 100), taken, 2.0) == (0, Box(2.0, 78.0, 42.0, 98.0))
    assert place_legend([(40, 40), (50, 20)], (100, 100), taken, 2.0) == (1, Box(2.0, 78.0, 52.0, 98.0))
    assert place_legend([(40, 40)], (100, 100), taken, 2.0) is None
    assert place_legend([(48, 80)], (100, 100), [], 2.0) is None, "more than its share"
    assert place_legend([(60, 10)], (100, 100), [], 2.0) is None, "broader than half of the image"


# Text


def test_text_is_as_wide_as_its_letters_and_panels_hold_it():
    assert text_width("left hip", 20.0) > text_width("hip", 20.0) > text_width("hip", TEXT_MIN) > 5
    across, down = panel_size(["left hip", "hip"], 20.0)
    assert across > text_width("left hip", 20.0) + 20
    assert 60 < down < 120
