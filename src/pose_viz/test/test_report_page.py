"""The report's figures by hand, and a page in which nothing of a file is markup."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from pose_core.angles import AngleFlag, AngleSequence
from pose_core.measures.quality import Change, Gap, IdChange, id_changes, quality_of
from pose_core.people import JointState
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33
from pose_viz.pages.report import (
    PIECES,
    FileEntry,
    PersonReport,
    RunReport,
    angle_chart,
    remarks_of,
    report_page,
)
from pose_viz.pages.web_page import css
from pose_viz.palette import side_colour

HOSTILE = "</script><script>alert(1)</script>"
FRAMES, RATE_HZ = 20, 50
NAMES = (
    "pelvis_tilt",
    "right_knee_flexion",
    "right_knee_abduction",
    "left_knee_flexion",
    "left_knee_abduction",
)


@pytest.fixture
def still(studio) -> PoseSequence:
    """Somebody who stands for 20 frames at 50 Hz."""
    step = 10**9 // RATE_HZ
    people = [studio.people3d(studio.person3d(), stamp=10**9 + i * step) for i in range(FRAMES)]
    return PoseSequence.from_people(people, "p1")


def changed(sequence: PoseSequence, **arrays) -> PoseSequence:
    return replace(sequence, **arrays)


def without(sequence: PoseSequence, frames: slice, joints=slice(None)) -> PoseSequence:
    xyz, state = sequence.xyz.copy(), sequence.state.copy()
    xyz[frames, joints], state[frames, joints] = np.nan, JointState.MISSING
    return replace(sequence, xyz=xyz, state=state)


def angles(frames: int = 5) -> AngleSequence:
    angle = np.radians(np.linspace(0.0, 40.0, frames))[:, None].repeat(len(NAMES), 1)
    stamps = 10**9 + 2 * 10**7 * np.arange(frames)
    return AngleSequence(
        NAMES, stamps, angle, np.full_like(angle, np.radians(3.0)), np.zeros(angle.shape), "p1"
    )


def run(quality, **fields) -> RunReport:
    person = PersonReport(
        fields.pop("person", "p1"), quality, fields.pop("angles", None), facts=fields.pop("facts", {})
    )
    return RunReport(
        **{
            "title": "walk",
            "source": "walk.mp4",
            "frames": 20,
            "seconds": 0.38,
            "people": (person,),
            **fields,
        }
    )


def test_somebody_who_stands_still_has_no_faults(still):
    quality = quality_of(still, still)
    assert (quality.frames, quality.begin, quality.seconds) == (20, 0.0, pytest.approx(0.38))
    assert quality.seen == Change(1.0, 1.0)
    assert quality.missing == Change(0.0, 0.0)
    assert quality.jitter == quality.root_jitter == Change(pytest.approx(0.0), pytest.approx(0.0))
    assert quality.bone_std == Change(pytest.approx(0.0), pytest.approx(0.0))
    assert (quality.moved, quality.gaps, quality.swaps, quality.predicted) == (0.0, (), 0, 0.0)
    assert remarks_of("p1", quality) == []


def test_gaps_and_missing_joints(still):
    raw = without(without(still, slice(5, 9)), slice(0, 2), [0, 1, 2])
    quality = quality_of(raw, still, start=5 * 10**8)
    # Frames 5 to 8 of 20; from frame 4 (0.08 s) to frame 9 there are 0.1 s, and the recording began 0.5 s before frame 0.
    assert quality.seen == Change(0.8, 1.0)
    assert quality.begin == 0.5
    (gap,) = quality.gaps
    assert gap == Gap(pytest.approx(0.58), pytest.approx(0.1))
    assert quality.missing.before == pytest.approx(2 * 3 / (16 * 33))
    nose = quality.joints[0]
    assert (nose.joint, nose.missing) == ("nose", Change(2 / 16, 0.0))


def test_jitter_by_hand(still):
    """A joint that is 1 mm off in every other frame has third differences of 4 mm; it is one of 33."""
    xyz = still.xyz.copy()
    xyz[1::2, 0, 0] += 0.001
    quality = quality_of(changed(still, xyz=xyz), still)
    expected = 0.004 * RATE_HZ**3 / 33
    assert quality.jitter == Change(pytest.approx(expected), pytest.approx(0.0, abs=1e-6))
    xyz = still.xyz.copy()
    xyz[1::2, :, 0] += 0.001
    quality = quality_of(changed(still, xyz=xyz), still)
    assert quality.root_jitter.before == pytest.approx(0.004 * RATE_HZ**3)
    assert quality.jitter.before == pytest.approx(0.0, abs=1e-6)
    assert quality.moved == pytest.approx(0.0005)


def test_a_lost_image_is_no_jerk(still):
    """Somebody who walks at an even speed: the frame after a lost image is two steps on."""
    walking = changed(still, xyz=still.xyz + 0.02 * np.arange(FRAMES)[:, None, None])
    kept = np.delete(np.arange(FRAMES), 9)
    arrays = ("stamps", "xyz", "confidence", "std", "root_std", "state", "person_confidence")
    lost = replace(walking, **{name: getattr(walking, name)[kept] for name in arrays})
    assert quality_of(lost, lost).root_jitter.before == pytest.approx(0.0, abs=1e-6)


def test_both_are_compared_over_what_both_have(still):
    """What refining filled in has no counterpart, so it does not count; nor does what it took out."""
    xyz = still.xyz.copy()
    xyz[5:9] += 0.3
    quality = quality_of(without(still, slice(5, 9)), changed(still, xyz=xyz))
    assert quality.bone_std.after == pytest.approx(0.0)
    assert quality.moved == pytest.approx(0.0)


def test_bone_lengths_by_hand(still):
    """Legs that grow and shrink by 10 mm: a standard deviation of 10 mm in the bones that end there."""
    ankles = MEDIAPIPE33.indices(
        "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index"
    )
    xyz = still.xyz.copy()
    shank = xyz[0, ankles[0]] - xyz[0, MEDIAPIPE33.index("left_knee")]
    for name, sign in (("left", 1.0), ("right", -1.0)):
        rows = [row for row in ankles if MEDIAPIPE33.joints[row].startswith(name)]
        along = shank / np.linalg.norm(shank) * [sign, 1.0, 1.0]
        xyz[0::2, rows] += 0.01 * along
        xyz[1::2, rows] -= 0.01 * along
    quality = quality_of(changed(still, xyz=xyz), still)
    assert quality.bone_std.before == pytest.approx(0.01 * 2 / len(MEDIAPIPE33.edges), rel=1e-6)


def test_states_are_counted(still):
    state = still.state.copy()
    state[3:5] = JointState.PREDICTED
    state[6, :3] = JointState.INTERPOLATED
    state[8:10, 11:17] = state[12, 11:17] = JointState.SWAPPED
    quality = quality_of(still, changed(still, state=state))
    assert quality.predicted == pytest.approx(2 / 20)
    assert quality.interpolated == pytest.approx(3 / (20 * 33))
    assert (quality.swaps, quality.swapped) == (2, pytest.approx(18 / (20 * 33)))
    assert quality.joints[0].predicted == pytest.approx(0.1)


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_few_frames_have_no_jitter(still, frames):
    quality = quality_of(still[:frames], still[:frames])
    assert np.isnan(quality.jitter.before)
    assert "too few to measure jitter" in remarks_of("p1", quality)[0]
    assert ">-<" in report_page(run(quality)).replace("- → <b>-</b>", "-")


def test_nobody_seen_is_a_page_that_says_so(still):
    quality = quality_of(without(still, slice(None)), without(still, slice(None)))
    assert quality.seen == Change(0.0, 0.0)
    page = report_page(run(quality, angles=replace(angles(), angle=np.full((5, 5), np.nan))))
    assert "p1 is seen in only 0.0 % of the frames." in page
    assert "No angle is known." in page
    assert "plotly" not in page


def test_other_recordings_are_refused(still):
    with pytest.raises(ValueError, match="one skeleton, got 'mediapipe33' and 'coco17'"):
        quality_of(still, _coco(still))
    flat = replace(still, xyz=still.xyz[..., :2], root_std=still.root_std[:, :2])
    with pytest.raises(ValueError, match="in pixels"):
        quality_of(flat, flat)


def _coco(still: PoseSequence) -> PoseSequence:
    arrays = {name: getattr(still, name)[:, :17] for name in ("xyz", "confidence", "std", "state")}
    return replace(still, skeleton="coco17", **arrays)


def test_ids_that_change_are_found(still):
    def somebody(person: str, begin: int, end: int, x: float) -> PoseSequence:
        one = without(without(still, slice(0, begin)), slice(end, FRAMES))
        return replace(one, person=person, xyz=one.xyz + np.array([x, 0.0, 0.0]))

    first, second = somebody("p1", 0, 8, 0.0), somebody("p2", 10, 20, 0.4)
    (change,) = id_changes([second, first])
    assert (change.before, change.after) == ("p1", "p2")
    assert (change.seconds, change.metres) == (pytest.approx(0.2), pytest.approx(0.4))
    assert id_changes([first, somebody("p2", 10, 20, 1.4)]) == []  # too far away
    assert id_changes([first, somebody("p2", 5, 20, 0.4)]) == []  # both at once
    late = replace(somebody("p2", 0, 20, 0.0), stamps=still.stamps + 3 * 10**9)
    assert id_changes([first, late]) == []
    assert id_changes([]) == []


def test_remarks_say_what_is_wrong(still):
    rng = np.random.default_rng(4)
    noisy = changed(still, xyz=still.xyz + rng.normal(0.0, 0.01, still.xyz.shape))
    remarks = remarks_of("p7", quality_of(still, noisy))
    assert remarks == [
        "Refining made the motion of p7 less smooth.",
        "Refining made the bones of p7 vary more.",
    ]
    assert remarks_of("p7", quality_of(noisy, still)) == []
    # A caller that states them as well does not make them come twice.
    page = report_page(run(quality_of(still, noisy), person="p7", warnings=tuple(remarks)))
    assert page.count("vary more") == 1


def test_the_page_says_it_all(still):
    state = still.state.copy()
    state[4, 11:17] = JointState.SWAPPED
    quality = quality_of(without(still, slice(5, 9)), changed(still, state=state))
    page = report_page(
        run(
            quality,
            angles=angles(),
            facts={"height": "1.78 m (stated)"},
            settings={"lifter": "streaming_tcn"},
            id_changes=(IdChange(4.2, "p1", "p3", 0.314),),
            overlay="overlay.webm",
            viewer="3d view.html",
            files=(
                FileEntry("joint_angles/overview.png", "all angles", 1_234_567),
                FileEntry("bag", "everything"),
            ),
            warnings=("The camera has no calibration.",),
        )
    )
    for said in (
        "1 person, 20 frames in 0.38 s at 50 per second.",
        "<li>The camera has no calibration.</li>",
        '<a href="./overlay.webm">Overlay video</a>',
        '<a href="./3d%20view.html">3D viewer</a>',
        "<td>lifter</td><td>streaming_tcn</td>",
        "80.0 % → <b>100.0 %</b>",
        "0.00 s to 0.38 s",
        "1 gap, by begin and length: 0.08 s (0.10 s).",
        "At 4.20 s p1 probably became p3, 0.31 m away.",
        '<td>left and right swapped, repaired</td><td class="figure">once</td>',
        "1.78 m (stated)",
        '<td><a href="./joint_angles/overview.png">joint_angles/overview.png</a></td><td>all angles</td>'
        '<td class="figure">1.2 MB</td>',
        "<figcaption>Right knee</figcaption>",
    ):
        assert said in page, said
    assert page.count("plotly.js v") == 1


def test_charts_have_fixed_names_and_pair_the_sides(still, reader):
    page = report_page(run(quality_of(still, still), angles=angles()))
    charts = reader.data(page, "charts")
    assert [chart["id"] for chart in charts] == ["chart-0-0", "chart-0-1", "chart-0-2"]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page) == ["Pelvis", "Right knee", "Left knee"]
    assert all(f'id="{chart["id"]}"' in page for chart in charts)
    assert page == report_page(run(quality_of(still, still), angles=angles()))


def test_charts_show_degrees_bands_and_reasons():
    flawed = angles()
    flawed.angle[2, 1] = flawed.std[2, 1] = np.nan
    flawed.flags[2, 1] = AngleFlag.UNOBSERVABLE
    chart = angle_chart(flawed, "right_knee", [(NAMES[1], "flexion"), (NAMES[2], "abduction")])
    band, flexion, _, abduction = chart["data"]
    assert flexion["x"] == [0.0, 0.02, 0.04, 0.06, 0.08]
    assert flexion["y"] == [0.0, 10.0, None, 30.0, 40.0]
    assert flexion["line"]["color"] == css(side_colour("right", paper=True))
    # Two outlines, one on either side of the gap: up along the top, and back along the bottom.
    assert band["x"] == [0.0, 0.02, 0.02, 0.0, None, 0.06, 0.08, 0.08, 0.06]
    assert band["y"] == [3.0, 13.0, 7.0, -3.0, None, 33.0, 43.0, 37.0, 27.0]
    (shape,) = chart["layout"]["shapes"]
    assert (shape["x0"], shape["x1"], shape["yref"]) == (0.03, 0.05, "y domain")
    assert abduction["yaxis"] == "y2"
    assert chart["layout"]["xaxis"]["anchor"] == "y2"
    low, high = chart["layout"]["yaxis2"]["domain"]
    assert 0.0 <= low < high < chart["layout"]["yaxis"]["domain"][0]
    go.Figure(chart)


def test_long_charts_keep_the_peaks_and_say_so(still):
    long = angles(20_000)
    long.angle[777, 1] = np.radians(95.0)
    curve = angle_chart(long, "right_knee", [(NAMES[1], "flexion")])["data"][1]
    assert len(curve["x"]) <= 3 * PIECES + 2
    assert max(curve["y"]) == 95.0
    page = report_page(run(quality_of(still, still), angles=long))
    assert "The recording is long: charts hold the lowest and the highest of every 50 frames." in page


def test_names_from_files_are_neither_script_nor_markup(still, reader):
    named = replace(angles(), names=(HOSTILE, *NAMES[1:]))
    page = report_page(
        run(
            replace(quality_of(still, still), gaps=()),
            person=HOSTILE,
            angles=named,
            facts={HOSTILE: HOSTILE},
            settings={HOSTILE: HOSTILE},
            title=HOSTILE,
            source=HOSTILE,
            overlay="javascript:alert(1)",
            files=(FileEntry('" onmouseover="alert(1)', HOSTILE),),
            warnings=(HOSTILE,),
            id_changes=(IdChange(1.0, HOSTILE, HOSTILE, 0.1),),
        )
    )
    assert page.count("<script") == page.count("</script>") == 3  # the charts, plotly.js, and what draws
    assert "<script>alert" not in page
    assert 'href="./javascript%3Aalert%281%29"' in page
    assert "onmouseover=" not in page.replace("onmouseover=&quot;", "")
    written = str(reader.data(page, "charts"))
    assert "<script" not in written
    assert "&lt;/script&gt;" in written


def test_nobody_is_said():
    page = report_page(RunReport("empty", "empty.mp4", 0, 0.0))
    assert "<li>Nobody was found.</li>" in page
    assert "0 people, 0 frames in 0.00 s." in page


def test_long_times_and_many_faults_stay_readable(still):
    quality = quality_of(still, still)
    gaps = tuple(Gap(float(i), 0.1 + 0.01 * i) for i in range(40))
    joints = tuple(replace_missing(joint, 0.5) for joint in quality.joints)
    page = report_page(run(replace(quality, gaps=gaps, joints=joints), frames=108_000, seconds=3599.97))
    assert "108,000 frames in 1:00:00 h at 30 per second" in page
    assert "40 gaps, by begin and length: 28.00 s (0.38 s)" in page
    assert "and 28 shorter ones." in page
    assert "and 25 other joints" in page


def replace_missing(joint, share):
    return joint._replace(missing=Change(share, share))


def test_charts_are_drawn_one_after_the_other_and_fit_on_paper(still, reader):
    page = report_page(run(quality_of(still, still), angles=angles()))
    drawn = reader.run(page, "frames(1, 0);", "calls.map((call) => call.slice(0, 2))")
    assert drawn == [["newPlot", "chart-0-0"], ["newPlot", "chart-0-1"]]
    printed = reader.run(
        page,
        "frames(3, 0); window.listeners.beforeprint(); window.listeners.afterprint();",
        "[calls.length, calls[3], calls[8], document.body.dataset.drawn]",
    )
    assert printed == [
        9,
        ["relayout", "chart-0-0", {"autosize": False, "width": 330}],
        ["relayout", "chart-0-2", {"autosize": True, "width": None}],
        "yes",
    ]
