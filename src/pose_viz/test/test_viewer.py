"""The viewer's page holds the positions, names nothing as markup, and its player shows the frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from pose_core.markers import MarkerSequence, marker_name
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33, POSE2SIM22
from pose_viz.pages.viewer import FRAMES_MAX, MARKER_BONES, PLAYER, marker_side, viewer_page
from pose_viz.pages.web_page import css
from pose_viz.palette import person_colour, side_colour

HOSTILE = "</script><script>alert(1)</script>"
PERIOD = 20_000_000


def markers(xyz, names=("RHip", "RKnee"), person="p1", start=10**9) -> MarkerSequence:
    xyz = np.asarray(xyz, float)
    stamps = start + PERIOD * np.arange(len(xyz))
    return MarkerSequence(names, stamps, xyz, np.full(xyz.shape[:2], np.nan), person)


def two_frames() -> MarkerSequence:
    """Hip at X 1, Y 2, Z 3 metres, then 0.5 mm higher; the knee is missing in the second frame."""
    return markers([[[1.0, 2.0, 3.0], [1.1, 1.5, 3.0]], [[1.0, 2.0006, 3.0], [np.nan] * 3]])


def joints(studio, frames=3) -> PoseSequence:
    people = [studio.people3d(studio.person3d(), stamp=10**9 + PERIOD * i) for i in range(frames)]
    return PoseSequence.from_people(people, "p1")


def test_positions_are_whole_millimetres_in_plotlys_axes(reader):
    motion = reader.data(viewer_page([two_frames()], "walk"), "motion")
    # Z, X, Y: plotly's third axis is up.
    assert motion["mm"] == [[[3000, 1000, 2000, 3000, 1100, 1500], [3000, 1000, 2001, None, None, None]]]
    assert motion["seconds"] == [0.0, 0.02]
    assert motion["first"] == 0


def test_axes_of_the_page_are_right_handed(reader):
    unit = markers(
        [[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]], ("O", "X", "Y", "Z")
    )
    row = np.array(reader.data(viewer_page([unit], "axes"), "motion")["mm"][0][0]).reshape(4, 3) / 1000.0
    np.testing.assert_array_equal(np.cross(row[1], row[2]), row[3])


def test_the_figure_shows_the_first_frame_and_is_one_that_plotly_accepts(reader):
    figure = reader.data(viewer_page([two_frames()], "walk"), "figure")
    floor, bones, points = figure["data"]
    assert (points["x"], points["y"], points["z"]) == ([3.0, 3.0], [1.0, 1.1], [2.0, 1.5])
    assert points["text"] == ["RHip", "RKnee"]
    assert (bones["x"], bones["z"]) == ([3.0, 3.0, None], [2.0, 1.5, None])
    assert bones["line"]["color"] == css(side_colour("right", paper=True))
    assert floor["hoverinfo"] == bones["hoverinfo"] == "skip"
    go.Figure(figure)


def test_all_axes_have_one_scale_and_the_floor_fills_its_tiles(studio, reader):
    scene = reader.data(viewer_page([joints(studio)], "walk"), "figure")["layout"]["scene"]
    spans = [np.ptp(scene[f"{name}axis"]["range"]) for name in "xyz"]
    ratios = np.array([scene["aspectratio"][name] for name in "xyz"]) / spans
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-3)
    for name in "xy":
        np.testing.assert_allclose(np.mod(scene[f"{name}axis"]["range"], 0.5), 0.0, atol=1e-9)


def test_joints_are_turned_upright_and_bones_keep_their_length(studio, reader):
    sequence = joints(studio)
    page = viewer_page([sequence], "walk")
    motion = reader.data(page, "motion")
    nodes = np.array(motion["mm"][0][0]).reshape(-1, 3) / 1000.0
    assert len(nodes) == len(MEDIAPIPE33.nodes)
    # The pelvis is 3 m before the camera: 3 m along X, plotly's y. The nose is 0.6 m above it.
    np.testing.assert_allclose(nodes[MEDIAPIPE33.index("pelvis")], [0.0, 3.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(nodes[MEDIAPIPE33.index("nose")], [0.0, 3.0, 0.6], atol=1e-3)
    lengths = np.linalg.norm(np.subtract(*nodes[MEDIAPIPE33.edges.T]), axis=-1)
    np.testing.assert_allclose(lengths, MEDIAPIPE33.bone_lengths(sequence.xyz)[0], atol=2e-3)


def test_a_camera_that_looks_down_is_levelled(studio, reader):
    page = viewer_page([joints(studio)], "walk", camera_pitch_deg=90.0)
    nodes = np.array(reader.data(page, "motion")["mm"][0][0]).reshape(-1, 3)
    np.testing.assert_array_equal(nodes[MEDIAPIPE33.index("pelvis")], [0, 0, -3000])


def test_one_person_has_the_colours_of_sides_and_several_have_their_own(studio, reader):
    one = joints(studio)
    traces = reader.data(viewer_page([one], "walk"), "figure")["data"]
    assert [t["name"] for t in traces[1:]] == ["left", "right", "centre", "p1"]
    traces = reader.data(viewer_page([one, replace(one, person="p2")], "walk"), "figure")["data"]
    assert [t["name"] for t in traces[1:]] == ["p1", "p1", "p2", "p2"]
    assert traces[3]["line"]["color"] == css(person_colour("p2", paper=True))
    assert [t["showlegend"] for t in traces[1:]] == [True, False, True, False]


def test_marker_names_are_pose2sims():
    names = [marker_name(joint) for joint in POSE2SIM22.joints]
    assert names == [
        *("Hip", "RHip", "RKnee", "RAnkle", "RBigToe", "RSmallToe", "RHeel"),
        *("LHip", "LKnee", "LAnkle", "LBigToe", "LSmallToe", "LHeel", "Neck", "Head", "Nose"),
        *("RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"),
    ]
    assert ("RHip", "RKnee") in MARKER_BONES
    assert ("L.ASIS_study", "L.PSIS_study") in MARKER_BONES
    assert ("r_calc_study", "r_toe_study") in MARKER_BONES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RHip", "right"),
        ("r.ASIS_study", "right"),
        ("L_knee_study", "left"),
        ("LHJC_study", "left"),
        ("left_knee", "left"),
        ("pelvis", "centre"),
        ("Head", "centre"),
        ("C7_study", "centre"),
        ("rib", "centre"),
        ("", "centre"),
    ],
)
def test_sides_of_markers(name, expected):
    assert marker_side(name) == expected


def test_unknown_markers_are_points_without_bones(reader):
    traces = reader.data(viewer_page([markers(np.ones((2, 2, 3)), ("A", "B"))], "walk"), "figure")["data"]
    assert [t["mode"] for t in traces] == ["lines", "markers"]
    assert traces[1]["showlegend"] is True


def test_names_from_files_are_neither_script_nor_markup(reader):
    page = viewer_page([markers(np.zeros((2, 2, 3)), (HOSTILE, "%{x}<b>"), person=HOSTILE)], HOSTILE)
    assert page.count("</script>") == page.count("<script") == 4  # motion, figure, plotly.js, the player
    assert "alert(1)" in page
    assert "<script>alert" not in page
    points = reader.data(page, "figure")["data"][-1]
    assert points["text"] == ["&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;", "%{x}&lt;b&gt;"]
    assert "<" not in points["name"]
    # What is put into a template is the trace's text; no name is part of the template itself.
    assert "alert" not in points["hovertemplate"]


def test_long_recordings_are_thinned_evenly_and_say_so(reader):
    frames = 3 * FRAMES_MAX
    page = viewer_page([markers(np.zeros((frames, 2, 3)))], "long")
    motion = reader.data(page, "motion")
    assert len(motion["seconds"]) == len(motion["mm"][0]) == FRAMES_MAX
    assert motion["seconds"][-1] == round((frames - 1) * PERIOD * 1e-9, 3)
    assert np.ptp(np.diff(motion["seconds"])) <= 0.0201
    assert f"The page holds {FRAMES_MAX} of the frames, evenly spaced: one every 0.06 s." in page
    assert "of the frames" not in viewer_page([two_frames()], "short")


def test_people_of_other_times_share_one_time_line(reader):
    first = markers(np.zeros((3, 2, 3)))
    second = markers(np.ones((2, 2, 3)), person="p2", start=10**9 + 4 * PERIOD)
    motion = reader.data(viewer_page([first, second], "both"), "motion")
    assert motion["seconds"] == [0.0, 0.02, 0.04, 0.08, 0.1]
    assert [row is not None for row in motion["mm"][0]] == [True, True, True, False, False]
    assert [row is not None for row in motion["mm"][1]] == [False, False, False, True, True]


def test_a_slower_person_stays_in_view_between_frames(reader):
    fast = markers(np.zeros((6, 2, 3)))
    slow = replace(markers(np.ones((2, 2, 3)), person="p2"), stamps=np.array([10**9, 10**9 + 3 * PERIOD]))
    rows = reader.data(viewer_page([fast, slow], "both"), "motion")["mm"][1]
    assert [row is not None for row in rows] == [True] * 6


def test_a_person_without_frames_does_not_hide_the_others(reader):
    page = viewer_page([two_frames(), markers(np.zeros((0, 2, 3)), person="p2")], "both")
    assert reader.data(page, "motion")["mm"][1] == [None, None]


def test_one_frame_is_shown(reader):
    page = viewer_page([markers(np.zeros((1, 2, 3)))], "one")
    assert "1 frame." in page
    assert reader.data(page, "motion")["seconds"] == [0.0]


def test_nobody_with_a_position_is_a_page_that_says_so():
    page = viewer_page([markers(np.full((5, 2, 3), np.nan))], "nothing")
    assert "Nobody has a position in any of the 5 frames" in page
    assert "plotly" not in page


def test_absurd_positions_are_not_shown(reader):
    page = viewer_page([markers([[[0.0, 0.0, 0.0], [1e300, 0.0, 0.0]]])], "far")
    assert reader.data(page, "motion")["mm"] == [[[0, 0, 0, None, None, None]]]


def test_an_outlier_does_not_shrink_the_view(reader):
    xyz = np.zeros((2000, 2, 3))
    xyz[:, 1] = 0.5
    xyz[7, 0] = 900.0
    scene = reader.data(viewer_page([markers(xyz)], "outlier"), "figure")["layout"]["scene"]
    assert np.ptp(scene["xaxis"]["range"]) <= 2.0


def test_a_hall_of_kilometres_has_larger_tiles(reader):
    page = viewer_page([markers(np.linspace(0.0, 5000.0, 300).repeat(6).reshape(300, 2, 3))], "hall")
    assert len(reader.data(page, "figure")["data"][0]["x"]) < 3 * 500


def test_what_cannot_be_shown_is_refused(studio):
    with pytest.raises(ValueError, match="no people"):
        viewer_page([], "nobody")
    with pytest.raises(ValueError, match="no frames"):
        viewer_page([markers(np.zeros((0, 2, 3)))], "nothing")
    solid = joints(studio)
    flat = replace(solid, xyz=solid.xyz[..., :2], root_std=solid.root_std[:, :2])
    with pytest.raises(ValueError, match="p1 is in pixels"):
        viewer_page([flat], "2D")
    with pytest.raises(ValueError, match="at least 2, got 1"):
        viewer_page([two_frames()], "walk", frames_max=1)


def test_the_same_recording_gives_the_same_page():
    assert viewer_page([two_frames()], "walk") == viewer_page([two_frames()], "walk")


def test_the_player_shows_the_frame_it_is_told(reader):
    page = viewer_page([two_frames()], "walk")
    actions = 'element("when").value = "1"; element("when").listeners.input();'
    start, shown = reader.run(page, actions, "[calls[0], calls[calls.length - 1]]")
    assert start[:2] == ["newPlot", "scene"]
    assert start[2] == reader.data(page, "figure")["data"]
    name, _, change, traces = shown
    assert (name, traces) == ("restyle", [1, 2])
    # Bones, then points: the knee is missing, so its bone ends nowhere.
    assert change["x"] == [[3, None, None], [3, None]]
    assert change["z"] == [[2.001, None, None], [2.001, None]]


def test_the_player_keeps_time_and_stops(reader):
    page = viewer_page([markers(np.arange(60.0).repeat(6).reshape(60, 2, 3))], "walk")
    play = 'element("play").listeners.click();'
    result = '[element("when").value, element("clock").textContent, element("play").textContent]'
    assert reader.run(page, play + "frames(30, 10);", result) == [15, "0.30 of 1.18 s", "Stop"]
    slow = 'element("speed").value = "0.5";' + play + "frames(30, 10);"
    assert reader.run(page, slow, result)[0] == 7
    stopped = play + "frames(30, 10);" + play + "frames(30, 10);"
    assert reader.run(page, stopped, result) == [15, "0.30 of 1.18 s", "Play"]
    # From the end, and half a second of rest, it starts again.
    assert reader.run(page, play + "frames(180, 10);", result)[0] == 5
    keys = 'document.listeners.keydown({key: "ArrowRight", target: {}, preventDefault() {}});'
    assert reader.run(page, keys * 3, result)[0] == 3


def test_the_player_waits_while_the_view_is_turned(reader):
    page = viewer_page([markers(np.zeros((60, 2, 3)))], "walk")
    held = 'element("play").listeners.click(); element("scene").listeners.pointerdown(); frames(30, 10);'
    assert reader.run(page, held, 'element("when").value') == 0
    released = held + "window.listeners.pointerup(); frames(1, 10);"
    assert reader.run(page, released, 'element("when").value') == 15


def test_a_single_frame_does_not_play(reader):
    page = viewer_page([markers(np.zeros((1, 2, 3)))], "one")
    result = '[element("play").disabled, element("when").disabled]'
    assert reader.run(page, 'element("play").listeners.click();', result) == [True, True]


def test_the_player_asks_for_nothing_from_outside():
    for word in ("http", "fetch(", "import(", "eval", "innerHTML"):
        assert word not in PLAYER
