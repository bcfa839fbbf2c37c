"""`pose plot`: figures from bags, files and tables, and sentences for everything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pose_msgs.msg import JointAngles, PersonAngles
from rclpy.serialization import serialize_message

from pose_biomechanics.isb import GROUPS, NAMES
from pose_core.angles import AngleFlag, AngleSequence
from pose_core.formats.trc import write_trc
from pose_core.markers import MarkerSequence
from pose_core.people import JointState, People3D, Person3D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33, side
from pose_core.units import NS_PER_S
from pose_ros.conversions import people3d_to_msg, stamp_from_ns
from pose_ros.messages.names import JOINT_ANGLES, PEOPLE3D
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.files import plot as plot_module
from pose_tools.files.plot import PlotJob, plot, together
from pose_tools.files.tables import read_angle_tables
from pose_tools.process.person import write_angles

PERIOD = 20_000_000
FRAMES = 6
DOWN = {
    "nose": -0.6,
    "shoulder": -0.45,
    "elbow": -0.2,
    "wrist": 0.05,
    "hip": 0.0,
    "knee": 0.42,
    "ankle": 0.84,
}


def standing(knee_forward: float) -> np.ndarray:
    """(33, 3) somebody 3 m before the camera, whose knees are `knee_forward` metres before hips and ankles."""
    xyz = np.zeros((len(MEDIAPIPE33), 3))
    for row, joint in enumerate(MEDIAPIPE33.joints):
        part = joint.removeprefix("left_").removeprefix("right_")
        xyz[row, 0] = {"left": 0.15, "right": -0.15, "centre": 0.0}[side(joint)]
        xyz[row, 1] = DOWN.get(part, 0.9 if part in ("heel", "foot_index") else -0.6)
        xyz[row, 2] = 3.0 - (knee_forward if part == "knee" else 0.2 if part == "foot_index" else 0.0)
    return xyz


def person(name: str, knee_forward: float) -> Person3D:
    J = len(MEDIAPIPE33)
    state = np.full(J, JointState.LIFTED, np.uint8)
    return Person3D(name, 1.0, standing(knee_forward), np.full(J, 0.01), np.full(3, 0.01), np.ones(J), state)


def images(*names: str) -> list[People3D]:
    """Everybody bends the knees more and more."""
    return [
        People3D(
            NS_PER_S + i * PERIOD, "camera", "mediapipe33", tuple(person(n, 0.1 + 0.02 * i) for n in names)
        )
        for i in range(FRAMES)
    ]


def write_bag(folder: Path, *names: str, knee_deg: float | None = None) -> Path:
    """`knee_deg`: what recorded angles say of the right knee's flexion; None: there are none."""
    topics = [Topic("/refine/people", PEOPLE3D), Topic("/refine/joint_angles", JOINT_ANGLES)]
    with BagWriter(folder, topics) as writer:
        for image in images(*names):
            writer.write("/refine/people", serialize_message(people3d_to_msg(image)))
            if knee_deg is not None:
                message = JointAngles(names=["right_knee_flexion"])
                message.header.stamp = stamp_from_ns(image.stamp)
                message.header.frame_id = "camera"
                for one in image.people:
                    angles = PersonAngles(
                        id=one.id, angle=[float(np.radians(knee_deg))], std=[0.1], flags=[0]
                    )
                    message.people.append(angles)
                writer.write("/refine/joint_angles", serialize_message(message))
    return folder


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, AngleSequence]:
    """The angles that each figure would show; drawing takes long, so that most tests leave it out."""
    shown: dict[str, AngleSequence] = {}

    def group(angles: AngleSequence, name: str, *, title: str, start: int) -> Any:
        shown[f"{title} {name} {start}"] = angles
        return name

    def sheet(angles: AngleSequence, *, title: str, start: int) -> Any:
        shown[f"{title} {start}"] = angles
        return title

    def write(_figure: Any, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"figure")
        return path

    monkeypatch.setattr(plot_module, "group_figure", group)
    monkeypatch.setattr(plot_module, "overview_figure", sheet)
    monkeypatch.setattr(plot_module.plots, "save", write)
    monkeypatch.setattr(plot_module.plots, "skeleton_figure", lambda people, title: (len(people), title))
    return shown


def quiet(_done: int, _total: int | None) -> None:
    """Nobody watches."""


def draw(source: Path, out: Path, **fields: Any) -> dict[str, Any]:
    return plot(PlotJob(source, out, **fields), quiet)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.png")}


def test_figures_are_pictures(tmp_path: Path) -> None:
    result = draw(write_bag(tmp_path / "walk", "p1"), tmp_path / "größe 1", joints=("knee",))
    assert result == {"folder": str(tmp_path / "größe 1"), "people": 1, "frames": FRAMES, "figures": 2}
    assert names(tmp_path / "größe 1") == {"right_knee.png", "left_knee.png"}
    content = np.fromfile(tmp_path / "größe 1" / "left_knee.png", np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_COLOR).std() > 5.0


def test_everything_of_one_person(tmp_path: Path, drawn: dict) -> None:
    steps: list[tuple[int, int | None]] = []
    plot(PlotJob(write_bag(tmp_path / "walk", "p1"), tmp_path / "out"), lambda *step: steps.append(step))
    assert names(tmp_path / "out") == {f"{group}.png" for group in GROUPS} | {"overview.png", "skeleton.png"}
    assert steps[-1] == (14, 14)
    angles = drawn[f"p1 right_knee {NS_PER_S}"]
    # Thigh and shank lean by atan(0.1 / 0.42) each, forward and back.
    bend = 2.0 * np.degrees(np.arctan(0.1 / 0.42))
    assert np.degrees(angles.of("right_knee_flexion")[0]) == pytest.approx(bend, abs=0.5)
    assert f"Joint angles, p1 {NS_PER_S}" in drawn


def test_recorded_angles_are_taken_as_they_are(tmp_path: Path, drawn: dict) -> None:
    bag = write_bag(tmp_path / "walk", "p1", knee_deg=77.0)
    assert (
        draw(bag, tmp_path / "out")["figures"] == 3
    )  # the one group that they have, the sheet, the skeleton
    np.testing.assert_allclose(
        np.degrees(drawn[f"p1 right_knee {NS_PER_S}"].of("right_knee_flexion")), 77.0, rtol=1e-5
    )
    draw(bag, tmp_path / "tilted", joints=("right_knee",), tilt=(10.0, 0.0))
    assert drawn[f"p1 right_knee {NS_PER_S}"].names == NAMES


def test_several_people_have_a_folder_each(tmp_path: Path, drawn: dict) -> None:
    bag = write_bag(tmp_path / "walk", "p1", "P1", "q")
    draw(bag, tmp_path / "out", joints=("trunk",))
    assert names(tmp_path / "out") == {"p1/trunk.png", "P1_2/trunk.png", "q/trunk.png"}

    draw(bag, tmp_path / "one", joints=("trunk",), people=("P1",))
    assert names(tmp_path / "one") == {"trunk.png"}


def test_ids_do_not_leave_the_folder() -> None:
    folders = plot_module._folders(["..", "../x", "a/b", "a_b", "p1"])
    assert list(folders.values()) == ["_/", "_x/", "a_b/", "a_b_2/", "p1/"]
    assert plot_module._folders(["../x"]) == {"../x": ""}


def test_a_folder_of_results_has_its_bag_drawn(tmp_path: Path, drawn: dict) -> None:
    write_bag(tmp_path / "walk" / "bag", "p1")
    assert draw(tmp_path / "walk", tmp_path / "out")["figures"] == 14


def test_sequences_and_markers(tmp_path: Path, drawn: dict) -> None:
    PoseSequence.from_people(images("p1"), "p1").save(tmp_path / "pose.npz")
    assert draw(tmp_path / "pose.npz", tmp_path / "npz")["figures"] == 14
    markers = MarkerSequence(("RHip", "RKnee"), PERIOD * np.arange(3), np.zeros((3, 2, 3)), np.zeros((3, 2)))
    write_trc(tmp_path / "walk.trc", markers)
    assert (
        draw(tmp_path / "walk.trc", tmp_path / "trc")["figures"] == 13
    )  # markers have no figure of a skeleton
    assert drawn["walk right_knee 0"].names == NAMES


def table() -> AngleSequence:
    rng = np.random.default_rng(5)
    shape = (FRAMES, len(NAMES))
    flags = rng.choice([AngleFlag.VALID, AngleFlag.UNOBSERVABLE, AngleFlag.NEAR_GIMBAL_LOCK], shape).astype(
        np.uint8
    )
    angle = np.where(flags == AngleFlag.UNOBSERVABLE, np.nan, rng.uniform(-3.0, 3.0, shape))
    return AngleSequence(NAMES, NS_PER_S + PERIOD * np.arange(FRAMES), angle, 0.1 * np.abs(angle), flags)


def test_tables_come_back_as_they_were_written(tmp_path: Path) -> None:
    angles = table()
    write_angles(tmp_path, angles, 0)
    read = read_angle_tables(tmp_path)
    assert read.names == NAMES
    np.testing.assert_array_equal(read.stamps, angles.stamps)
    np.testing.assert_array_equal(read.flags, angles.flags)
    np.testing.assert_allclose(read.angle, angles.angle, atol=1e-8)
    np.testing.assert_allclose(read.std, angles.std, atol=1e-8)


def test_tables_are_drawn(tmp_path: Path, drawn: dict) -> None:
    write_angles(tmp_path / "joint_angles", table(), 0)
    assert draw(tmp_path / "joint_angles", tmp_path / "out")["figures"] == 13
    (tmp_path / "joint_angles" / "trunk.csv").unlink()
    assert draw(tmp_path / "joint_angles", tmp_path / "fewer")["figures"] == 12
    assert "fewer/trunk.png" not in names(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "must begin with the names of its columns, time_s among them"),
        ("a,b\n1,2\n", "must begin with the names"),
        ("time_s,time_s\n1,2\n", "must begin with the names"),
        ("time_s,trunk_flex_deg\n", "holds no row"),
        ("time_s,trunk_flex_deg\n0,1\n1,2,3\n", "line 3 has 3 cells, the first line names 2 columns"),
        ("time_s,trunk_flex_deg\n0,one\n", "line 2: could not convert"),
        ("time_s,trunk_flex_deg\n,1\n", "a row without a time"),
        ("time_s,trunk_flex_deg\n1e300,1\n", "a row without a time"),
        ("time_s,trunk_flex_deg\n1,1\n1,2\n", "times must increase"),
        ("time_s,trunk_flex_deg\n0,1\n7,2\n", "has other times than the tables beside it"),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, content: str, sentence: str) -> None:
    write_angles(tmp_path, table(), 0)
    (tmp_path / "trunk.csv").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_angle_tables(tmp_path)


def test_tables_that_a_spreadsheet_saved(tmp_path: Path) -> None:
    (tmp_path / "trunk.csv").write_bytes(
        b"\xef\xbb\xbftime_s,trunk_flex_deg,note\r\n0.5,90,1\r\n1.0,,\r\n\r\n"
    )
    read = read_angle_tables(tmp_path)
    assert (read.names, read.stamps.tolist()) == (("trunk_flexion",), [NS_PER_S // 2, NS_PER_S])
    np.testing.assert_allclose(read.angle, [[np.pi / 2], [np.nan]])
    assert np.isnan(read.std).all()


def test_existing_figures_stay_unless_forced(tmp_path: Path, drawn: dict) -> None:
    bag = write_bag(tmp_path / "walk", "p1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trunk.png").write_text("mine")
    with pytest.raises(
        ValueError, match="trunk.png exists already; name another folder, or replace it with --force"
    ):
        draw(bag, tmp_path / "out")
    assert names(tmp_path / "out") == {"trunk.png"}
    draw(bag, tmp_path / "out", force=True)
    assert (tmp_path / "out" / "trunk.png").read_bytes() == b"figure"


def test_wishes_that_cannot_be_met_are_refused(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "walk", "p1")
    (tmp_path / "file").write_text("")
    for fields, sentence in (
        ({"joints": ("neck",)}, "no angles are called 'neck'; there are pelvis, right_hip"),
        ({"out": tmp_path / "file"}, "file is no folder"),
        ({"tilt": (400.0, 0.0)}, "camera_pitch_deg must be from -180 to 180, got 400"),
        ({"source": tmp_path / "none"}, "there is no .*none"),
        ({"source": tmp_path / "file"}, "is of no kind that can be read"),
        ({"people": ("p7",)}, "shows no p7; it shows p1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            plot(PlotJob(**{"source": bag, "out": tmp_path / "out", **fields}), quiet)
    sequence = PoseSequence.from_people(images("p1"), "p1")
    sequence.save(tmp_path / "pose.npz")
    with pytest.raises(ValueError, match="is of one person; leave --person out"):
        draw(tmp_path / "pose.npz", tmp_path / "out", people=("p1",))
    replace(sequence, xyz=sequence.xyz[..., :2], root_std=sequence.root_std[:, :2]).save(
        tmp_path / "flat.npz"
    )
    with pytest.raises(ValueError, match="in pixels"):
        draw(tmp_path / "flat.npz", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no bag"):
        draw(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_few_frames_and_nobody_are_figures_that_say_so(tmp_path: Path) -> None:
    sequence = PoseSequence.from_people(images("p1"), "p1")
    for name, one in (("none", sequence[:0]), ("one", sequence[:1]), ("blank", _blank(sequence))):
        one.save(tmp_path / f"{name}.npz")
        assert draw(tmp_path / f"{name}.npz", tmp_path / name, joints=("pelvis",))["figures"] == 1
        assert (tmp_path / name / "pelvis.png").stat().st_size > 3000


def _blank(sequence: PoseSequence) -> PoseSequence:
    return replace(
        sequence,
        xyz=np.full_like(sequence.xyz, np.nan),
        std=np.full_like(sequence.std, np.nan),
        state=np.zeros_like(sequence.state),
    )


def test_people_stand_in_one_image_again() -> None:
    whole = images("p1", "p2")
    first, second = (PoseSequence.from_people(whole, name) for name in ("p1", "p2"))
    merged = together([first[2:], second[:4]])
    assert [image.stamp for image in merged] == [image.stamp for image in whole]
    assert [[one.id for one in image.people] for image in merged] == [["p2"]] * 2 + [["p1", "p2"]] * 2 + [
        ["p1"]
    ] * 2
