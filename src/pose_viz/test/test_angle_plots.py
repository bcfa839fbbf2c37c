"""Figures of angles show degrees over seconds, bands, and why an angle is not to be trusted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb, to_rgba

from pose_core.angles import AngleFlag, AngleSequence
from pose_viz.figures import plots
from pose_viz.figures.angle_curves import (
    SPAN_DEG,
    flagged,
    grouping_of,
    limits_deg,
    seconds_of,
    shown,
    stretches,
    summary_of,
    thinned,
    title_of,
)
from pose_viz.figures.angle_plots import REASONS, group_figure, overview_figure
from pose_viz.palette import side_colour

SIDED = ("hip", "knee", "ankle", "shoulder", "elbow")
LEGS, ARMS = ([f"{s}_{j}" for j in joints for s in ("right", "left")] for joints in (SIDED[:3], SIDED[3:]))
GROUPS = ("pelvis", *LEGS, "trunk", *ARMS)
NAMES = tuple(f"{group}_{dof}" for group in GROUPS for dof in ("flexion", "abduction", "internal_rotation"))
KNEE = NAMES.index("right_knee_flexion")
FRAMES = 11


def sequence(frames: int = FRAMES, names: tuple[str, ...] = NAMES) -> AngleSequence:
    """Every angle goes from 0 to 30 degrees at 10 images per second, with a deviation of 2 degrees."""
    angle = np.radians(np.linspace(0.0, 30.0, frames))[:, None].repeat(len(names), 1)
    std = np.full_like(angle, np.radians(2.0))
    stamps = 10**9 + 10**8 * np.arange(frames)
    return AngleSequence(names, stamps, angle, std, np.zeros(angle.shape, np.uint8), "p1")


def flawed() -> AngleSequence:
    """The knee's flexion is missing in frames 3 and 4, its abduction near gimbal lock in frame 8."""
    angles = sequence()
    angles.angle[3:5, KNEE] = angles.std[3:5, KNEE] = np.nan
    angles.flags[3:5, KNEE] = AngleFlag.JOINT_MISSING
    angles.flags[8, KNEE + 1] = AngleFlag.NEAR_GIMBAL_LOCK
    return angles


def key(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def curve(axes) -> np.ndarray:
    return axes.lines[0].get_xydata()


def test_groups_are_read_from_names():
    groups = grouping_of(
        ("pelvis_anterior_tilt", "right_knee_flexion", "right_knee_internal_rotation", "odd")
    )
    assert groups == {
        "pelvis": [("pelvis_anterior_tilt", "anterior tilt")],
        "right_knee": [
            ("right_knee_flexion", "flexion"),
            ("right_knee_internal_rotation", "internal rotation"),
        ],
        "odd": [("odd", "odd")],
    }
    assert tuple(grouping_of(NAMES)) == GROUPS
    assert title_of("right_knee") == "Right knee"


def test_seconds_count_from_the_start():
    np.testing.assert_allclose(seconds_of(sequence()), 0.1 * np.arange(FRAMES))
    np.testing.assert_allclose(seconds_of(sequence(), 5 * 10**8), 0.5 + 0.1 * np.arange(FRAMES))


def test_curves_are_degrees_over_seconds_in_the_colour_of_the_side():
    for group, which in (("right_knee", "right"), ("left_knee", "left"), ("pelvis", "centre")):
        figure = group_figure(sequence(), group)
        assert [axes.get_title(loc="left") for axes in figure.axes] == [
            "Flexion",
            "Abduction",
            "Internal rotation",
        ]
        for axes in figure.axes:
            np.testing.assert_allclose(curve(axes)[[0, -1]], [[0.0, 0.0], [1.0, 30.0]], atol=1e-9)
            assert to_rgb(axes.lines[0].get_color()) == side_colour(which, paper=True)
            assert axes.get_ylabel() == "degrees"
        assert figure.axes[-1].get_xlabel() == "time (s)"


def test_bands_are_one_standard_deviation():
    band = group_figure(sequence(), "right_knee").axes[0].collections
    corners = np.concatenate([path.vertices for one in band for path in one.get_paths()])
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [-2.0, 32.0], atol=1e-6)


def test_what_is_missing_is_a_gap_with_its_reason_behind():
    figure = group_figure(flawed(), "right_knee")
    flexion, abduction, rotation = figure.axes
    assert np.isnan(curve(flexion)[3:5, 1]).all()
    assert key(figure) == ["angle", "± 1 standard deviation", "joint missing", "near gimbal lock"]
    runs = stretches(flagged(flawed(), NAMES[KNEE], AngleFlag.JOINT_MISSING), seconds_of(flawed()))
    np.testing.assert_allclose(runs, [(0.25, 0.2)])
    marks = [[path for one in axes.collections[:3] for path in one.get_paths()] for axes in figure.axes]
    assert [len(paths) for paths in marks] == [1, 1, 0]
    np.testing.assert_allclose(marks[0][0].get_extents().extents, [0.25, 0.0, 0.45, 1.0])
    assert flexion.get_title(loc="right") == "0° to 30°, ± 2.0°, valid 82 %"
    assert rotation.get_title(loc="right") == "0° to 30°, ± 2.0°"
    assert abduction.get_title(loc="right").endswith("valid 91 %")


def test_a_frame_alone_is_a_dot():
    angles = sequence()
    angles.angle[:, KNEE] = np.nan
    angles.angle[4, KNEE] = 0.5
    dots = group_figure(angles, "right_knee").axes[0].lines[1].get_xydata()
    np.testing.assert_allclose(dots, [[0.4, np.degrees(0.5)]])


def test_a_nan_without_a_flag_counts_as_missing():
    angles = sequence()
    angles.angle[2, KNEE] = np.nan
    assert np.flatnonzero(flagged(angles, NAMES[KNEE], AngleFlag.JOINT_MISSING)).tolist() == [2]
    assert not flagged(angles, NAMES[KNEE], AngleFlag.UNOBSERVABLE).any()


def test_summaries_are_of_valid_frames():
    angles = flawed()
    angles.angle[0, KNEE] = np.radians(-170.0)
    angles.flags[0, KNEE] = AngleFlag.NEAR_GIMBAL_LOCK
    summary = summary_of(angles, NAMES[KNEE])
    np.testing.assert_allclose([summary.low_deg, summary.high_deg, summary.std_deg], [3.0, 30.0, 2.0])
    assert summary.valid == pytest.approx(8 / 11)
    angles.flags[:, KNEE] = AngleFlag.UNOBSERVABLE
    assert summary_of(angles, NAMES[KNEE]).valid == 0.0
    assert group_figure(angles, "right_knee").axes[0].get_title(loc="right") == "never valid"


def test_noise_at_rest_does_not_fill_a_panel():
    angles = sequence()
    angles.angle[:] = 0.0
    assert limits_deg(angles, [NAMES[KNEE]]) == (-SPAN_DEG / 2.0, SPAN_DEG / 2.0)


def test_a_wild_deviation_does_not_flatten_the_curve():
    angles = sequence()
    calm = limits_deg(angles, [NAMES[KNEE]])
    angles.std[5, KNEE] = 3.0
    angles.flags[5, KNEE] = AngleFlag.NEAR_GIMBAL_LOCK
    assert limits_deg(angles, [NAMES[KNEE]]) == pytest.approx(calm, abs=1.0)
    angles.angle[5, KNEE] = np.radians(150.0)
    assert limits_deg(angles, [NAMES[KNEE]])[1] > 150.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_stretches_cover_the_marked_frames_and_no_other(marks):
    marked = np.array(marks)
    seconds = np.arange(len(marks)) * 0.5
    runs = stretches(marked, seconds)
    inside = [any(begin <= t <= begin + length for begin, length in runs) for t in seconds]
    assert inside == marks
    assert len(runs) == np.count_nonzero(np.diff(np.concatenate([[0], marked, [0]])) == 1)


def test_near_stretches_are_one():
    marked = np.array([1, 0, 1, 0, 0, 0, 1], bool)
    assert stretches(marked, np.arange(7.0), merged=1.0) == [(0.0, 2.5), (5.5, 0.5)]


def test_the_sheet_has_both_sides_of_a_joint_in_one_panel():
    figure = overview_figure(sequence())
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 7 * 3
    assert [axes.get_ylabel() for axes in panels[::3]] == [
        f"{name} (°)" for name in ("Pelvis", "Hip", "Knee", "Ankle", "Trunk", "Shoulder", "Elbow")
    ]
    hip = panels[3]
    assert [to_rgb(line.get_color()) for line in hip.lines[:4:2]] == [
        side_colour(which, paper=True) for which in ("right", "left")
    ]
    assert key(figure) == ["right", "left", "centre", "± 1 standard deviation"]


def test_the_sheet_goes_on_where_a_group_has_more_angles():
    more = tuple(f"right_shoulder_{name}" for name in ("plane_of_elevation", "elevation"))
    figure = overview_figure(sequence(names=(*NAMES, *more)))
    assert len(figure.axes) == 8 * 3
    assert len([axes for axes in figure.axes if axes.axison]) == 23


def test_a_name_with_a_side_in_it_does_not_choose_the_colour():
    figure = overview_figure(sequence(names=("pelvis_right_drop", "pelvis_left_rotation")))
    assert {to_rgb(axes.lines[0].get_color()) for axes in figure.axes[:2]} == {
        side_colour("centre", paper=True)
    }


def test_the_sheet_marks_what_is_not_to_be_trusted():
    figure = overview_figure(flawed())
    knee = [axes for axes in figure.axes if axes.axison][6]
    strip = [one for one in knee.collections if one.get_alpha() == 0.55 and one.get_paths()]
    assert [path.get_extents().extents[[0, 2]].tolist() for one in strip for path in one.get_paths()] == [
        pytest.approx([0.25, 0.45])
    ]
    assert key(figure)[-1] == "strip at the foot: not to be trusted"
    assert to_rgba(strip[0].get_facecolor()[0])[:3] == side_colour("right", paper=True)


def test_an_own_grouping_is_used():
    figure = group_figure(sequence(), "bends", {"bends": [(NAMES[KNEE], "how far"), (NAMES[0], "tilt")]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["How far", "Tilt"]


def test_unknown_groups_and_angles_are_named():
    with pytest.raises(ValueError, match="no group of angles is called 'knee'; there are pelvis, right_hip"):
        group_figure(sequence(), "knee")
    with pytest.raises(ValueError, match="no angle is called 'x'"):
        group_figure(sequence(), "bends", {"bends": [("x", "x")]})


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_few_frames_are_drawn_or_said(tmp_path, frames):
    for figure in (group_figure(sequence(frames), "right_knee"), overview_figure(sequence(frames))):
        plots.save(figure, tmp_path / "figure.png")
        assert [text.get_text() for text in figure.texts[1:]] == ["the recording has no frames"] * (
            frames == 0
        )


def test_nothing_known_is_said():
    angles = sequence()
    angles.angle[:] = np.nan
    figure = overview_figure(angles)
    assert figure.texts[1].get_text() == "no angle is known in 11 frames"
    angles.angle[:, 0] = 0.0
    knee = group_figure(angles, "right_knee").axes[0]
    assert [text.get_text() for text in knee.texts] == ["not known"]


def test_names_are_no_formulas(tmp_path):
    plots.save(group_figure(sequence(), "right_knee", title="$\\frac{$ é"), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_same_angles_give_the_same_bytes(tmp_path):
    first, second = (
        plots.save(group_figure(flawed(), "right_knee", title="p1"), tmp_path / f"{name}.png").read_bytes()
        for name in "ab"
    )
    assert first == second
    assert b"date" not in first.lower()[:400]
    height, width = cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert (width, height) == (1080, 958)  # 7.2 by 3 x 1.45 + 2 x 0.32 + 0.88 + 0.52 inches at 150 dots


def test_every_reason_has_a_ground_of_its_own():
    assert set(REASONS) == set(AngleFlag) - {AngleFlag.VALID}
    assert len({str(look) for _, look in REASONS.values()}) == 3


def test_peaks_and_gaps_survive_thinning():
    values = np.zeros(50_000)
    values[12_345], values[30_000], values[40_000] = 9.0, -7.0, np.nan
    frames = thinned(values, 100)
    assert len(frames) <= 302
    assert {0, 12_345, 30_000, 40_000, 49_999} <= set(frames.tolist())
    assert thinned(values[:300], 100).tolist() == list(range(300))


def test_an_hour_is_drawn(tmp_path):
    figure = group_figure(sequence(108_000), "right_knee")
    plots.save(figure, tmp_path / "hour.png")
    assert curve(figure.axes[0])[-1].tolist() == pytest.approx([10_799.9, 30.0])
    assert figure.axes[2].xaxis.get_major_formatter()(3725.0) == "62:05"


def one_angle(seconds: np.ndarray, angle: np.ndarray) -> AngleSequence:
    """An angle called a, in radians, valid throughout."""
    column = angle[:, None]
    stamps = np.round(seconds * 1e9).astype(np.int64)
    return AngleSequence(("a",), stamps, column, np.full_like(column, 0.1), np.zeros(column.shape, np.uint8))


def test_curves_are_not_joined_over_gaps_and_jumps():
    seconds = np.concatenate([np.arange(10) / 30.0, 3.0 + np.arange(10) / 30.0])
    degrees = np.linspace(0.0, 19.0, 20)
    degrees[15:] += 180.0
    angles = one_angle(seconds, np.radians(degrees))
    time, curve, std = shown(angles, "a", seconds, 2000)
    assert np.flatnonzero(np.isnan(curve)).tolist() == [10, 16]
    np.testing.assert_allclose(curve[np.isfinite(curve)], degrees)
    assert time[10] == pytest.approx((9 / 30 + 3.0) / 2)
    assert (np.diff(time) > 0.0).all()
    np.testing.assert_array_equal(np.isnan(std), np.isnan(curve))
    # Of a long recording only its extremes are drawn, but still not over a gap.
    long = np.concatenate([np.arange(5000) / 30.0, 1000.0 + np.arange(5000) / 30.0])
    few = one_angle(long, np.sin(long))
    time, curve, _ = shown(few, "a", long, 100)
    assert len(time) < 310
    (gap,) = np.flatnonzero(np.isnan(curve))
    assert time[gap - 1] == pytest.approx(4999 / 30.0)
    assert time[gap + 1] == pytest.approx(1000.0)
