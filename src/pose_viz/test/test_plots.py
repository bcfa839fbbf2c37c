"""Figures show what they say, and files appear whole."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pose_core.markers import up_in_camera, world_from_camera
from pose_core.people import People3D, Person3D
from pose_core.skeleton import MEDIAPIPE33
from pose_viz.figures import plots
from pose_viz.palette import SIDES, person_colour

COUNT = 12


@pytest.fixture(scope="module")
def sequence(studio):
    """p1 walks to the right at 1 m/s, p2 is there in the second half only."""
    people3d, people2d = [], []
    for number in range(COUNT):
        stamp = 10**9 + number * 10**8
        places = {"p1": (0.1 * number, 0.0, 3.0)} | ({"p2": (-0.5, 0.0, 4.0)} if number >= COUNT // 2 else {})
        people3d.append(studio.people3d(*(studio.person3d(n, at) for n, at in places.items()), stamp=stamp))
        people2d.append(studio.people2d(*(studio.person2d(n, at) for n, at in places.items()), stamp=stamp))
    return people3d, people2d


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def test_tracks(sequence):
    first, second = plots.tracks(sequence[0])
    assert (first.id, second.id) == ("p1", "p2")
    np.testing.assert_allclose(first.time, 0.1 * np.arange(COUNT))
    assert first.present.all()
    assert second.present.sum() == COUNT // 2
    assert np.isnan(second.xyz[: COUNT // 2]).all()
    # Figure axes: right, depth, up.
    np.testing.assert_allclose(first.root[3], [0.3, 3.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(first.upright[3, MEDIAPIPE33.index("nose")], [0.3, 3.0, 0.6])


def test_whoever_is_seen_longer_comes_first(sequence, studio):
    later = [
        *sequence[0][6:],
        *(studio.people3d(studio.person3d("p2"), stamp=9 * 10**9 + n) for n in range(3)),
    ]
    assert [track.id for track in plots.tracks(later)] == ["p2", "p1"]


def test_upright_is_a_rotation():
    np.testing.assert_allclose(np.linalg.det(plots.UPRIGHT), 1.0)
    np.testing.assert_array_equal(plots.UPRIGHT @ [0.0, -1.0, 0.0], [0.0, 0.0, 1.0])


def test_panels_and_units(sequence, studio):
    figure = plots.skeleton_figure(*sequence, studio.camera, title="Walk")
    assert figure._suptitle.get_text() == "Walk"
    assert list(panels(figure)) == [
        "In space, in the camera's frame (up: camera's -y)",
        "p1 from the camera",
        "p1 from the side (depth to the right)",
        "p2 from the camera",
        "p2 from the side (depth to the right)",
        "Root position (m)",
        "Knee flexion (deg)",
        "Bone length, off its own median (mm)",
        "Reprojection error (px)",
    ]
    assert panels(figure)["Root position (m)"].get_xlabel() == "time (s)"
    scene = figure.axes[0]
    assert (scene.get_xlabel(), scene.get_ylabel(), scene.get_zlabel()) == (
        "right (m)",
        "depth (m)",
        "up (m)",
    )
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["left", "right", "centre", "p1 (path, curves)", "p2 (path, curves)"]


def test_curves_by_value(sequence, studio):
    figure = plots.skeleton_figure(*sequence, studio.camera)
    lines = panels(figure)["Root position (m)"].get_lines()
    depth, right, up = lines[:3]
    assert to_rgb(depth.get_color()) == person_colour("p1", paper=True)
    np.testing.assert_allclose(depth.get_ydata(), 3.0)
    np.testing.assert_allclose(right.get_ydata(), 0.1 * np.arange(COUNT), atol=1e-12)
    np.testing.assert_allclose(up.get_ydata(), 0.0, atol=1e-12)
    band = panels(figure)["Root position (m)"].collections[0].get_datalim(depth.axes.transData)
    np.testing.assert_allclose([band.y0, band.y1], [2.9, 3.1])  # root_std along z is 0.1 m
    for title, tolerance in (
        ("Bone length, off its own median (mm)", 1e-9),
        ("Reprojection error (px)", 1e-9),
    ):
        for line in panels(figure)[title].get_lines():
            np.testing.assert_allclose(line.get_ydata(), 0.0, atol=tolerance)
    p2 = panels(figure)["Reprojection error (px)"].get_lines()[1]
    np.testing.assert_allclose(p2.get_xdata(), 0.1 * np.arange(COUNT // 2, COUNT))


def test_a_shift_of_the_2d_people_is_the_reprojection_error(sequence, studio):
    people3d, people2d = sequence
    shifted = [
        replace(image, people=tuple(replace(p, xy_px=p.xy_px + np.array([3.0, 4.0])) for p in image.people))
        for image in people2d
    ]
    figure = plots.skeleton_figure(people3d, shifted, studio.camera)
    for line in panels(figure)["Reprojection error (px)"].get_lines():
        np.testing.assert_allclose(line.get_ydata(), 5.0, atol=1e-9)


def test_a_growing_bone_shows_in_millimetres(studio):
    people = []
    for number in range(5):
        xyz = studio.person3d().xyz * (1.0 + 0.01 * number)
        people.append(studio.people3d(studio.person3d(xyz=xyz), stamp=number))
    figure = plots.skeleton_figure(people)
    (line,) = panels(figure)["Bone length, off its own median (mm)"].get_lines()
    median_bone = np.median(MEDIAPIPE33.bone_lengths(studio.person3d().xyz)) * 1000.0
    np.testing.assert_allclose(line.get_ydata(), median_bone * 0.01 * np.array([2, 1, 0, 1, 2]), rtol=1e-6)


def test_without_2d_the_last_panel_is_the_standard_deviation(sequence):
    axes = panels(plots.skeleton_figure(sequence[0]))["Joint standard deviation (mm)"]
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), 20.0)


def test_flexion():
    hip, knee = np.zeros(3), np.array([0.0, 0.4, 0.0])
    straight, right_angle, folded = (
        knee + ankle for ankle in ([0.0, 0.3, 0.0], [0.0, 0.0, 0.3], [0.0, -0.4, 0.0])
    )
    joints = np.array([[hip, knee, ankle] for ankle in (straight, right_angle, folded)])
    np.testing.assert_allclose(plots.flexion(joints), [0.0, 90.0, 180.0], atol=1e-12)


def test_knees_have_the_colours_of_their_sides_and_are_not_swapped(studio):
    xyz = studio.person3d().xyz
    xyz[MEDIAPIPE33.index("left_ankle")] = xyz[MEDIAPIPE33.index("left_knee")] + [0.0, 0.0, 0.4]
    xyz[MEDIAPIPE33.index("left_hip")] = xyz[MEDIAPIPE33.index("left_knee")] - [0.0, 0.4, 0.0]
    figure = plots.skeleton_figure([studio.people3d(studio.person3d(xyz=xyz), stamp=n) for n in range(3)])
    left, right = panels(figure)["Knee flexion (deg)"].get_lines()
    assert to_rgb(left.get_color()) == SIDES["left"][1]
    assert to_rgb(right.get_color()) == SIDES["right"][1]
    np.testing.assert_allclose(left.get_ydata(), 90.0)
    assert (right.get_ydata() < 5.0).all()


def test_film_strips_show_both_views(sequence):
    figure = plots.skeleton_figure(sequence[0][:1])
    front = panels(figure)["p1 from the camera"].collections[0].get_segments()
    side = panels(figure)["p1 from the side (depth to the right)"].collections[0].get_segments()
    toe = MEDIAPIPE33.bone_names.index("left_ankle-left_foot_index")
    np.testing.assert_allclose(np.diff(front[toe], axis=0), [[0.02, -0.06]])  # to the person's left
    np.testing.assert_allclose(np.diff(side[toe], axis=0), [[-0.15, -0.06]])  # towards the camera
    assert len(front) == len(MEDIAPIPE33.bones)


def test_side_by_side():
    offsets = plots.side_by_side(np.array([[-1.0, 1.0], [0.0, 0.5], [-2.0, np.nan]]), 0.25)
    np.testing.assert_allclose(offsets, [1.0, 2.25, 5.0])


def test_evenly():
    np.testing.assert_array_equal(plots.evenly(np.arange(10, 21), 3), [10, 15, 20])
    np.testing.assert_array_equal(plots.evenly(np.array([4, 7]), 3), [4, 7])
    assert len(plots.evenly(np.array([], int), 3)) == 0


@pytest.mark.parametrize("people", [[], [People3D(1, "cam", "coco17"), People3D(2, "cam", "coco17")]])
def test_nobody(people, tmp_path):
    figure = plots.skeleton_figure(people)
    assert [text.get_text() for text in figure.texts][-1] == f"nobody was seen in {len(people)} images"
    assert plots.save(figure, tmp_path / "nobody.png").stat().st_size > 0


def test_missing_joints_and_a_person_of_one_image(studio, tmp_path):
    xyz = studio.without(studio.person3d().xyz, "left_knee", "right_wrist")
    people = [studio.people3d(studio.person3d(xyz=xyz), stamp=1)]
    assert plots.save(plots.skeleton_figure(people), tmp_path / "one.png").is_file()
    rootless = [studio.people3d(studio.person3d(xyz=studio.without(xyz, "left_hip")), stamp=1)]
    assert plots.tracks(rootless) == []


def test_refuses_stamps_that_go_back_and_mixed_skeletons(sequence):
    with pytest.raises(ValueError, match="stamps of a figure must increase"):
        plots.tracks([*sequence[0], sequence[0][0]])
    with pytest.raises(ValueError, match="same skeleton, got coco17, mediapipe33"):
        plots.tracks([sequence[0][0], People3D(10**10, "cam", "coco17")])


def test_save_writes_a_picture_and_leaves_nothing_else(sequence, studio, tmp_path):
    path = plots.save(plots.skeleton_figure(*sequence, studio.camera), tmp_path / "new" / "walk.png")
    picture = cv2.imread(str(path))
    width, height = (round(inches * plots.DPI) for inches in plots.SIZE_INCHES)
    assert picture.shape == (height, width, 3)
    for side in SIDES:
        ink = np.array(SIDES[side][1])[::-1] * 255.0
        assert (np.abs(picture - ink).max(-1) < 2.0).sum() > 100
    assert [p.name for p in path.parent.iterdir()] == ["walk.png"]


def test_contact_sheet():
    images = [np.full((40, 20, 3), level, np.uint8) for level in (10, 60, 110, 160, 210)]
    sheet = plots.contact_sheet(images, [f"{n} s" for n in range(5)], columns=3, width_px=300)
    assert sheet.shape[1] == 300
    assert sheet.dtype == np.uint8
    gap, cell = 4, (300 - 4 * 4) // 3
    pitch = 2 * cell + gap + 2 * 8
    assert sheet.shape[0] == 2 * pitch + gap
    for number, image in enumerate(images):
        x = gap + (number % 3) * (cell + gap) + cell // 2
        y = gap + (number // 3) * pitch + cell
        assert sheet[y, x].tolist() == image[0, 0].tolist()
    assert sheet[-20, -20].tolist() == [255, 255, 255]  # no sixth cell


def test_contact_sheet_refusals():
    with pytest.raises(ValueError, match="at least one image"):
        plots.contact_sheet([])
    with pytest.raises(ValueError, match="got 1 for 2"):
        plots.contact_sheet([np.zeros((4, 4, 3), np.uint8)] * 2, ["a"])


def test_methods_are_compared_strip_by_strip(sequence, studio):
    lifted = sequence[0]
    other = [studio.people3d(studio.person3d("p1", (0.0, 0.0, 2.0)), stamp=image.stamp) for image in lifted]
    figure = plots.comparison_figure({"one": lifted, "two": other}, title="Both")
    assert list(panels(figure)) == [
        "one, p1 from the side (depth to the right)",
        "one, p1 from the camera",
        "two, p1 from the side (depth to the right)",
        "two, p1 from the camera",
    ]

    def strips(shown) -> list[np.ndarray]:
        return [
            np.concatenate([line.get_paths()[0].vertices for line in axes.collections[:1]])
            for axes in shown.axes
        ]

    # About the root, both are the same person.
    level = strips(figure)
    np.testing.assert_allclose(level[0], level[2], atol=1e-9)
    # And stay so where only one of the methods knows how the camera is tilted.
    knowing = [replace(image, up=up_in_camera(30.0)) for image in lifted]
    tilted = strips(plots.comparison_figure({"one": knowing, "two": other}))
    # Who is farther away then stands lower, or higher.
    np.testing.assert_allclose(np.diff(tilted[0], axis=0), np.diff(tilted[2], axis=0), atol=1e-9)
    assert np.abs(tilted[0] - level[0]).max() > 0.05


def test_comparing_nobody_says_so():
    figure = plots.comparison_figure({"one": [], "two": []})
    assert figure.texts[-1].get_text() == "nobody was seen"


def test_people_stand_upright_before_a_camera_that_is_known_to_look_down():
    down = world_from_camera(30.0, -10.0)
    standing = np.zeros((33, 3))
    standing[:, 1] = np.linspace(0.0, 1.7, 33)  # Y up
    standing[24, 2] = 0.2  # hips apart
    xyz = standing @ down + np.array([0.0, 0.0, 4.0])
    person = Person3D(
        id="p1",
        confidence=1.0,
        xyz=xyz,
        std=np.full(33, 0.01),
        root_std=np.full(3, 0.01),
        joint_confidence=np.ones(33),
        state=np.zeros(33, np.uint8),
    )
    people = People3D(0, "camera", "mediapipe33", (person,), up=up_in_camera(30.0, -10.0))
    (track,) = plots.tracks([people])
    body = track.upright[0, :33] - track.upright[0, 0]
    np.testing.assert_allclose(body[:, 2], standing[:, 1] - standing[0, 1], atol=1e-9)
    np.testing.assert_allclose(body[1:24, :2], 0.0, atol=1e-9)
    (level,) = plots.tracks([replace(people, up=None)])
    np.testing.assert_allclose(level.upright[0, :33], xyz[:, [0, 2, 1]] * (1.0, 1.0, -1.0), atol=1e-12)
