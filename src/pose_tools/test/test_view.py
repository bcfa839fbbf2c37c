"""`pose view`: pages of bags, TRC and npz files, and sentences for everything else."""

from __future__ import annotations

import json
import re
import webbrowser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message

from pose_core.formats.trc import write_trc
from pose_core.markers import MarkerSequence
from pose_core.people import JointState, People3D, Person3D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33
from pose_core.units import NS_PER_S
from pose_ros.conversions import people3d_to_msg
from pose_ros.messages import names
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.files.view import ViewJob, name_of, view

J = len(MEDIAPIPE33)
PERIOD = 20_000_000


def person(name: str, x: float) -> Person3D:
    """All joints in one place, `x` to the camera's right, 3 m before it."""
    place = np.tile([x, 0.0, 3.0], (J, 1))
    return Person3D(
        name,
        1.0,
        place,
        np.full(J, 0.01),
        np.full(3, 0.01),
        np.ones(J),
        np.full(J, JointState.LIFTED, np.uint8),
    )


def write_bag(folder: Path, frames: int = 10) -> Path:
    """p1 in all images, p2 from the fifth on."""
    with BagWriter(folder, [Topic("/refine/people", names.PEOPLE3D)]) as writer:
        for i in range(frames):
            people = (person("p1", 0.1 * i), *((person("p2", 2.0),) if i >= 5 else ()))
            message = people3d_to_msg(People3D(NS_PER_S + i * PERIOD, "camera", "mediapipe33", people))
            writer.write("/refine/people", serialize_message(message))
    return folder


def sequence(frames: int = 4) -> PoseSequence:
    images = [
        People3D(NS_PER_S + i * PERIOD, "camera", "mediapipe33", (person("p1", 0.1 * i),))
        for i in range(frames)
    ]
    return PoseSequence.from_people(images, "p1")


def motion(page: Path) -> Any:
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="motion">(.*?)</script>', text).group(1))


def quiet(_done: int, _total: int | None) -> None:
    """Nobody watches."""


def show(source: Path, **fields: Any) -> dict[str, Any]:
    return view(ViewJob(source, open_browser=False, **fields), quiet)


def test_a_bag_becomes_a_page_beside_it(tmp_path: Path) -> None:
    result = show(write_bag(tmp_path / "größe 1"))
    assert result == {"page": str(tmp_path / "größe 1.html"), "people": 2, "frames": 10, "opened": False}
    shown = motion(tmp_path / "größe 1.html")
    # plotly's axes: right, forward, up.
    assert shown["mm"][0][3][:3] == [300, 3000, 0]
    assert [row is None for row in shown["mm"][1]] == [True] * 5 + [False] * 5


def test_one_person_and_a_part_of_the_time(tmp_path: Path) -> None:
    bag = write_bag(tmp_path / "bag")
    result = show(bag, people=("p2",), begin=0.13, end=0.17, out=tmp_path / "p2.html")
    assert (result["people"], result["frames"]) == (1, 2)
    show(bag, begin=0.04, end=0.1, out=tmp_path / "part.html")
    shown = motion(tmp_path / "part.html")
    assert [None if row is None else row[0] for row in shown["mm"][0]] == [200, 300, 400, 500]
    assert shown["seconds"] == [0.0, 0.02, 0.04, 0.06]


def test_a_folder_of_results_has_its_bag_shown(tmp_path: Path) -> None:
    write_bag(tmp_path / "walk" / "bag")
    assert show(tmp_path / "walk")["page"] == str(tmp_path / "walk.html")


def test_marker_files_and_sequences(tmp_path: Path) -> None:
    xyz = np.arange(12.0).reshape(2, 2, 3)
    markers = MarkerSequence(("RHip", "RKnee"), np.array([0, PERIOD]), xyz, np.full((2, 2), np.nan))
    write_trc(tmp_path / "walk.trc", markers)
    assert show(tmp_path / "walk.trc")["frames"] == 2
    assert motion(tmp_path / "walk.html")["mm"][0][0] == [2000, 0, 1000, 5000, 3000, 4000]
    sequence().save(tmp_path / "pose.npz")
    assert show(tmp_path / "pose.npz")["frames"] == 4
    assert motion(tmp_path / "pose.html")["mm"][0][1][:3] == [100, 3000, 0]


def test_a_tilted_camera_is_levelled(tmp_path: Path) -> None:
    sequence().save(tmp_path / "pose.npz")
    show(tmp_path / "pose.npz", tilt=(90.0, 0.0))
    assert motion(tmp_path / "pose.html")["mm"][0][0][:3] == [0, 0, -3000]


def test_a_page_is_replaced_and_other_files_are_not(tmp_path: Path) -> None:
    sequence().save(tmp_path / "pose.npz")
    show(tmp_path / "pose.npz")
    show(tmp_path / "pose.npz")
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(ValueError, match="mine.html exists and is no page of this program"):
        show(tmp_path / "pose.npz", out=tmp_path / "mine.html")


def test_a_browser_is_asked_only_where_there_is_a_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or True)
    monkeypatch.setattr("sys.platform", "linux")
    sequence().save(tmp_path / "a b.npz")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert view(ViewJob(tmp_path / "a b.npz"), quiet)["opened"] is False
    monkeypatch.setenv("DISPLAY", ":0")
    assert view(ViewJob(tmp_path / "a b.npz", open_browser=False), quiet)["opened"] is False
    assert asked == []
    assert view(ViewJob(tmp_path / "a b.npz"), quiet)["opened"] is True
    assert asked == [(tmp_path / "a b.html").as_uri()]
    assert asked[0].startswith("file:///")


def test_a_short_file_is_shown_with_a_warning(tmp_path: Path) -> None:
    markers = MarkerSequence(("A",), PERIOD * np.arange(5), np.ones((5, 1, 3)), np.full((5, 1), np.nan))
    write_trc(tmp_path / "cut.trc", markers)
    lines = (tmp_path / "cut.trc").read_text().splitlines(keepends=True)
    (tmp_path / "cut.trc").write_text("".join(lines[:-2]))
    (warning,) = show(tmp_path / "cut.trc")["warnings"]
    assert warning.endswith("states 5 frames and holds 3; it may be cut short")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "notes.txt",
            b"hello",
            "notes.txt is of no kind that can be read; it must be a bag or end in .trc, .c3d, .npz",
        ),
        ("walk.trc", b"hello", "no TRC file"),
        ("walk.trc", b"", "no TRC file"),
        ("walk.npz", b"PK\x03\x04 nothing", "is not a whole pose sequence"),
        ("walk.c3d", b"hello", "is no whole C3D file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        show(tmp_path / name)
    assert not list(tmp_path.glob("*.html"))


def test_sources_without_anybody_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no .*nothing; name a bag"):
        show(tmp_path / "nothing")
    with BagWriter(tmp_path / "bag", [Topic("/refine/people", names.PEOPLE3D)]) as writer:
        empty = people3d_to_msg(People3D(NS_PER_S, "camera", "mediapipe33"))
        writer.write("/refine/people", serialize_message(empty))
    with pytest.raises(ValueError, match="shows nobody in its 1 images"):
        show(tmp_path / "bag")
    with pytest.raises(ValueError, match="shows no p9; it shows p1, p2"):
        show(write_bag(tmp_path / "two"), people=("p9",))
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no bag"):
        show(tmp_path / "folder")
    sequence(0 + 4)[:0].save(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="has no frame"):
        show(tmp_path / "none.npz")


def test_all_missing_and_one_frame_are_pages(tmp_path: Path) -> None:
    one = sequence(1)
    one.save(tmp_path / "one.npz")
    assert show(tmp_path / "one.npz")["frames"] == 1
    blank = MarkerSequence(("A",), PERIOD * np.arange(3), np.full((3, 1, 3), np.nan), np.full((3, 1), np.nan))
    write_trc(tmp_path / "blank.trc", blank)
    show(tmp_path / "blank.trc")
    assert "Nobody has a position in any of the 3 frames" in (tmp_path / "blank.html").read_text()


def test_wishes_that_cannot_be_met_are_refused(tmp_path: Path) -> None:
    sequence().save(tmp_path / "pose.npz")
    source = tmp_path / "pose.npz"
    for fields, sentence in (
        ({"out": tmp_path / "page.pdf"}, "must end in .html, got"),
        ({"out": tmp_path / "no" / "page.html"}, "there is no folder .*no; make it first"),
        ({"begin": 2.0, "end": 1.0}, "must end after it begins, got 2 to 1 s"),
        ({"begin": 5.0}, "has no frame from 5 to inf s; it lasts 0.06 s"),
        ({"people": ("p1",)}, "is of one person; leave --person out"),
    ):
        with pytest.raises(ValueError, match=sentence):
            show(source, **fields)


def test_names(tmp_path: Path) -> None:
    assert name_of(tmp_path / "a.b") == "a"
    (tmp_path / "a.b").mkdir()
    assert name_of(tmp_path / "a.b") == "a.b"
    assert name_of(tmp_path / "a.b" / ".." / "a.b") == "a.b"
