"""`pose process`: what it leaves, that it leaves the same whatever happens, and what it refuses."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from pose2d_node.detection import Detection, check_image
from pose2d_node.sources import VIDEO_ORIGIN_NS
from pose2d_node.testing import image_of
from pose_biomechanics.angles import AngleOptions
from pose_biomechanics.isb import ANGLES, GROUPS, NAMES
from pose_biomechanics.marker_set import MARKERS
from pose_core import assets
from pose_core.angles import PELVIS_SEQUENCES, AngleSequence
from pose_core.formats.trc import read_trc
from pose_core.geometry.calibration import write_camera_yaml
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, Person2D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33
from pose_core.units import NS_PER_S
from pose_ros import topics
from pose_ros.conversions import people2d_to_msg, people3d_from_msg
from pose_ros.images import compressed_to_msg
from pose_ros.messages import names
from pose_tools.bag.reader import BagMessage, read
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.graph.demo import VIDEO
from pose_tools.process import (
    detection as process_detection,
)
from pose_tools.process import (
    figures as process_figures,
)
from pose_tools.process import (
    footage as process_input,
)
from pose_tools.process import (
    run as process,
)
from pose_tools.process.bag import Result, write_bag
from pose_tools.process.job import ProcessJob, settings_of
from pose_tools.process.overlay import Reader
from pose_tools.process.person import _better, labels
from pose_tools.process.stages import hidden, joined
from pose_tools.process.workers import Stopped, Workers, tick

FPS = 30
FRAMES = 32
WIDTH, HEIGHT = 64, 48
CAMERA = Camera.from_field_of_view(WIDTH, HEIGHT, 60.0)

# Metres, right side; x to the person's right, y up from the floor, z to the front.
RIGHT = {
    "eye_inner": (0.01, 1.62, 0.09),
    "eye": (0.03, 1.62, 0.09),
    "eye_outer": (0.05, 1.62, 0.08),
    "ear": (0.08, 1.60, 0.0),
    "shoulder": (0.18, 1.40, 0.0),
    "elbow": (0.26, 1.15, 0.02),
    "wrist": (0.30, 0.92, 0.10),
    "pinky": (0.31, 0.84, 0.12),
    "index": (0.30, 0.83, 0.15),
    "thumb": (0.28, 0.86, 0.14),
    "hip": (0.10, 0.92, 0.0),
    "knee": (0.11, 0.50, 0.04),
    "ankle": (0.12, 0.09, 0.0),
    "heel": (0.12, 0.03, -0.05),
    "foot_index": (0.14, 0.02, 0.16),
}


def figure(stamp: int, x: float = 0.0) -> np.ndarray:
    """(33, 3) metres in the camera's frame: somebody faces the camera 4 m away, `x` m to its right, and sways."""
    seconds = stamp / NS_PER_S
    rows = []
    for joint in MEDIAPIPE33.joints:
        name = joint.removesuffix("_right").removesuffix("_left").removeprefix("right_").removeprefix("left_")
        if joint == "nose":
            place = (0.0, 1.58, 0.12)
        elif name == "mouth":
            place = (0.025, 1.54, 0.09)
        else:
            place = RIGHT[name]
        sign = -1.0 if "left" in joint else 1.0
        sway = 0.05 * np.sin(2.0 * seconds) * place[1]
        rows.append((x - sign * place[0] + sway, 0.9 - place[1], 4.0 - place[2]))
    return np.array(rows)


def detection(xyz: np.ndarray, confidence: float = 0.9) -> Detection:
    xy_px = CAMERA.project(xyz)
    box_px = np.concatenate([xy_px.min(0), xy_px.max(0)])
    hips = xyz[MEDIAPIPE33.indices("left_hip", "right_hip")].mean(0)
    return Detection(xy_px, np.full(len(xyz), confidence), xyz - hips, box_px, confidence)


Sees = Callable[[int], list[Detection]]


class Eyes:
    """A detector that sees what it is told to, by the stamp alone."""

    device, restarts, restart_reason, inference = "cpu", 0, "", (0, 0)
    looked_at: list[int]

    def __init__(self, sees: Sees, looked_at: list[int]) -> None:
        self._sees, self.looked_at = sees, looked_at

    def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
        check_image(bgr)
        self.looked_at.append(stamp)
        return self._sees(stamp)

    def close(self) -> None:
        """Nothing is held."""


def one_person(stamp: int) -> list[Detection]:
    return [detection(figure(stamp))]


@contextmanager
def made_up(sees: Sees, looked_at: list[int]) -> Iterator[pytest.MonkeyPatch]:
    """Everything in this process, without figures and without the networks for markers; `looked_at` gets the stamps of images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "cores", lambda: 1)
        patch.setattr(process_input, "SHORTEST", FRAMES // 2)
        patch.setattr(process, "identity", lambda _params: {"seen by": "eyes"})
        patch.setattr(process, "draw_angles", lambda *_: [])
        patch.setattr(process, "open_augmenter", lambda: None)
        patch.setattr(process_detection, "open_detector", lambda _params: Eyes(sees, looked_at))
        yield patch


@pytest.fixture
def eyes() -> Iterator[Callable[[Sees], list[int]]]:
    """`eyes(sees)` tells what is seen, and gives the list of what will be looked at."""
    with made_up(one_person, []) as patch:

        def choose(sees: Sees) -> list[int]:
            looked_at: list[int] = []
            patch.setattr(process_detection, "open_detector", lambda _params: Eyes(sees, looked_at))
            return looked_at

        yield choose


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """The results of a film of one person who is 1.8 m tall, and what was said about them."""
    folder = tmp_path_factory.mktemp("told")
    with made_up(one_person, []):
        said = run(write_film(folder / "film.mp4"), folder / "out", overlay=True, height=1.8)
    return folder / "out", said


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A video of FRAMES grey images."""
    return write_film(tmp_path / "film.mp4")


def write_film(path: Path, frames: int = FRAMES, rate: float = FPS) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (WIDTH, HEIGHT))
    for index in range(frames):
        writer.write(image_of(index))
    writer.release()
    return path


def silent(_done: int, _total: int | None) -> None:
    """Nobody wants to know."""


def run(source: Path, out: Path, **options: object) -> dict:
    options.setdefault("overlay", False)
    return process.process(ProcessJob.asked(source, out, **options), silent)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, str]:
    """Digest of each file by its place in the folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def table(path: Path) -> dict[str, list[str]]:
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}


# What is left


@pytest.mark.parametrize(
    ("options", "name", "fourcc", "size"),
    [
        ({}, "overlay.webm", "VP80", (WIDTH, HEIGHT)),
        ({"codec": "vp9"}, "overlay.webm", "VP90", (WIDTH, HEIGHT)),
        ({"scale": 0.5}, "overlay.webm", "VP80", (WIDTH // 2, HEIGHT // 2)),
        ({"codec": "mp4v"}, "overlay.mp4", "FMP4", (WIDTH, HEIGHT)),
    ],
)
def test_the_overlay_video_has_all_images_at_their_size_and_rate(
    eyes: Callable[[Sees], list[int]],
    tmp_path: Path,
    options: dict[str, object],
    name: str,
    fourcc: str,
    size: tuple[int, int],
) -> None:
    eyes(one_person)
    film = write_film(tmp_path / "film.mp4", rate=60000 / 1001)
    done: list[tuple[int, int | None]] = []
    job = ProcessJob.asked(film, tmp_path / "out", overlay=True, min_seconds=0.1, **options)
    process.process(job, lambda now, total: done.append((now, total)))
    capture = cv2.VideoCapture(str(tmp_path / "out" / name))
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode() == fourcc
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(60000 / 1001, rel=1e-5)
    images = []
    while (result := capture.read())[0]:
        images.append(result[1])
    capture.release()
    assert len(images) == FRAMES
    assert {image.shape for image in images} == {(*reversed(size), 3)}
    assert done[-1] == (2 * FRAMES, 2 * FRAMES)  # looked at, and drawn on


def test_one_person_leaves_a_set_of_files_without_suffix(told: tuple[Path, dict]) -> None:
    out, result = told
    names = {
        "film_final.trc",
        "film_initial.trc",
        "film_raw_landmarks.csv",
        "overlay.webm",
        "report.html",
        "summary.json",
        "bag/bag_0.mcap",
        "bag/metadata.yaml",
        *(f"joint_angles/{group}.csv" for group in GROUPS),
    }
    assert set(contents(out)) == names
    assert sorted(file.name for file in out.parent.iterdir()) == ["film.mp4", "out"]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary.pop("files") == sorted(names)
    assert summary == {name: result[name] for name in summary}
    assert (summary["images"], summary["images left out"]) == (FRAMES, 0)
    assert summary["people"]["p1"]["images"] == FRAMES
    assert summary["people"]["p1"]["height_m"] == pytest.approx(1.8)
    assert summary["seconds of film"] == pytest.approx((FRAMES - 1) / FPS)
    assert str(out.parent) not in (out / "summary.json").read_text(encoding="utf-8")


def test_markers_are_at_the_films_rate_and_where_the_person_is(told: tuple[Path, dict]) -> None:
    out, _ = told
    final, initial = (read_trc(out / f"film_{kind}.trc") for kind in ("final", "initial"))
    for markers in (final, initial):
        assert markers.names == MARKERS
        assert len(markers) == FRAMES
        assert markers.metadata["rate_hz"] == FPS
        np.testing.assert_allclose(markers.stamps, np.arange(FRAMES) * NS_PER_S / FPS, atol=1e6)
    # X is forward: 4 m away. The person faces the camera, so their right is at the camera's left: Z negative.
    hip, right, left, head = (final.of(name).mean(0) for name in ("Hip", "RShoulder", "LShoulder", "Head"))
    assert 3.0 < hip[0] < 5.0
    assert right[2] < left[2]
    assert head[1] > hip[1] + 0.4
    assert (
        1.0 < np.abs(np.diff(initial.xyz, n=3, axis=0)).sum() / np.abs(np.diff(final.xyz, n=3, axis=0)).sum()
    )


def test_landmarks_are_those_of_the_detector(told: tuple[Path, dict]) -> None:
    out, _ = told
    landmarks = table(out / "film_raw_landmarks.csv")
    assert len(landmarks["time_s"]) == FRAMES
    stamp = VIDEO_ORIGIN_NS + round(10 * NS_PER_S / FPS)
    seen = one_person(stamp)[0]
    wrist = MEDIAPIPE33.index("left_wrist")
    assert float(landmarks["time_s"][10]) == pytest.approx(10 / FPS, abs=1e-6)
    assert float(landmarks["left_wrist_x_px"][10]) == pytest.approx(seen.xy_px[wrist, 0], abs=1e-3)
    assert float(landmarks["left_wrist_visibility"][10]) == pytest.approx(0.9)
    assert float(landmarks["left_wrist_world_z_m"][10]) == pytest.approx(seen.world[wrist, 2], abs=1e-5)


def test_the_bag_holds_everything_of_every_image(told: tuple[Path, dict]) -> None:
    out, _ = told
    messages: dict[str, list[BagMessage]] = {}
    for message in read(out / "bag"):
        messages.setdefault(message.topic.lstrip("/"), []).append(message)
    for topic in (
        topics.CAMERA_INFO,
        topics.PEOPLE2D,
        topics.WORLD,
        topics.LIFTED,
        topics.REFINED,
        topics.ANGLES,
    ):
        assert len(messages[topic]) == FRAMES, topic
    for topic in (topics.SKELETON2D, topics.LIFTED_SKELETON, topics.REFINED_SKELETON):
        assert len(messages[topic]) == 1
    refined = [people3d_from_msg(message.decode()) for message in messages[topics.REFINED]]
    hips = MEDIAPIPE33.indices("left_hip", "right_hip")
    in_bag = np.stack([people.people[0].xyz[hips].mean(0) for people in refined])
    in_file = read_trc(out / "film_final.trc").of("Hip")
    np.testing.assert_allclose(in_file, in_bag[:, [2, 1, 0]] * (1.0, -1.0, 1.0), atol=1e-5)
    angles = messages[topics.ANGLES][20].decode()
    assert angles.pelvis_sequence == AngleOptions.pelvis_sequence
    knee = angles.names.index("right_knee_flexion")
    column = table(out / "joint_angles" / "right_knee.csv")["right_knee_flex_deg"]
    assert np.degrees(angles.people[0].angle[knee]) == pytest.approx(float(column[20]), abs=1e-4)


def test_each_of_several_people_has_a_set_and_passers_by_are_listed(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    def sees(stamp: int) -> list[Detection]:
        passing = 0.45 * NS_PER_S <= stamp - VIDEO_ORIGIN_NS < 0.75 * NS_PER_S
        return [
            detection(figure(stamp, -0.9)),
            detection(figure(stamp, 0.9)),
            *([detection(figure(stamp, 0.0))] if passing else []),
        ]

    eyes(sees)
    result = run(film, tmp_path / "out", num_poses=3)
    assert set(result["people"]) == {"p1", "p2"}
    assert result["not exported"] == {"p3": {"images": 9, "seconds": pytest.approx(8 / FPS, abs=1e-3)}}
    for person, sign in (("p1", -1.0), ("p2", 1.0)):
        markers = read_trc(tmp_path / "out" / f"film_{person}_final.trc")
        assert sign * markers.of("Hip")[:, 2].mean() > 0.4
        assert (tmp_path / "out" / "joint_angles" / person / "pelvis.csv").is_file()
    assert not (tmp_path / "out" / "film_final.trc").exists()
    assert "p3" in run(film, tmp_path / "all", num_poses=3, min_seconds=0.2)["people"]


def test_who_comes_later_starts_later_on_the_common_clock(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    late = VIDEO_ORIGIN_NS + round(10 * NS_PER_S / FPS)
    eyes(lambda stamp: one_person(stamp) if stamp >= late else [])
    run(film, tmp_path / "out")
    markers = read_trc(tmp_path / "out" / "film_final.trc")
    assert len(markers) == FRAMES - 10
    assert markers.stamps[0] / NS_PER_S == pytest.approx(10 / FPS, abs=1e-6)


def test_joints_that_are_hardly_visible_are_left_out_unless_asked_for(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    wrist = MEDIAPIPE33.index("left_wrist")

    def sees(stamp: int) -> list[Detection]:
        one = one_person(stamp)[0]
        one.confidence[wrist] = 0.2
        return [one]

    eyes(sees)
    run(film, tmp_path / "out")
    run(film, tmp_path / "all", visibility_min=0.1)
    guessed = run(film, tmp_path / "guessed", estimate_missing=True)
    (said,) = [one for one in guessed["warnings"] if "mirrored" in one]
    assert said.startswith("p1: markers are mirrored from the other side in up to ")
    assert said.endswith("guesses there: LWrist.")
    missing = {
        name: read_trc(tmp_path / name / "film_final.trc").missing.mean(0)[MARKERS.index("LWrist")]
        for name in ("out", "all", "guessed")
    }
    assert missing == {"out": 1.0, "all": 0.0, "guessed": 0.0}


def test_names_with_blanks_and_other_letters(eyes: Callable[[Sees], list[int]], tmp_path: Path) -> None:
    film = write_film(tmp_path / "Grüße aus 東京 7.mp4")
    run(film, tmp_path / "Ergebnis für München")
    assert (tmp_path / "Ergebnis für München" / "Grüße aus 東京 7_final.trc").is_file()


def test_a_folder_of_images(eyes: Callable[[Sees], list[int]], tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    for index in range(30):
        cv2.imwrite(str(folder / f"{index}.png"), image_of(index, WIDTH, HEIGHT))
    (folder / "5.png").write_bytes(b"broken")
    result = run(folder, tmp_path / "out", image_rate_hz=20.0, overlay=True)
    assert (result["images"], result["images left out"]) == (29, 1)
    markers = read_trc(tmp_path / "out" / "shots_final.trc")
    # The broken image leaves a gap in the stamps, and files are at an even rate.
    assert (len(markers), markers.metadata["rate_hz"]) == (30, 20.0)
    assert not markers.missing[5].all()
    capture = cv2.VideoCapture(str(tmp_path / "out" / "overlay.webm"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20.0)
    capture.release()


# Bags


def test_a_bag_cannot_hold_pelvises_of_two_sequences(tmp_path: Path) -> None:
    nothing = np.empty((0, 0))
    results = [
        Result(
            None,
            AngleSequence((), np.empty(0, np.int64), nothing, nothing, nothing, pelvis_sequence=sequence),
        )
        for sequence in PELVIS_SEQUENCES
    ]
    with pytest.raises(ValueError, match="must have one pelvis_sequence, got YXZ and ZXY"):
        write_bag(tmp_path / "bag", None, None, results, None, lambda: None)
    assert not (tmp_path / "bag").exists()


def test_a_bag_of_people_gives_what_the_film_gave(
    told: tuple[Path, dict], eyes: Callable[[Sees], list[int]], tmp_path: Path
) -> None:
    recorded, _ = told
    looked_at = eyes(one_person)
    result = run(recorded / "bag", tmp_path / "out", height=1.8, overlay=True)
    assert not looked_at
    assert any("no images" in sentence for sentence in result["warnings"])
    again, before = (
        read_trc(folder / f"{name}_final.trc")
        for folder, name in ((tmp_path / "out", "bag"), (recorded, "film"))
    )
    np.testing.assert_allclose(again.xyz, before.xyz, atol=2e-3)  # messages have 32 bits
    assert not (tmp_path / "out" / "overlay.webm").exists()


def test_what_a_bag_knows_of_camera_and_person_need_not_be_stated_again(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    stated = run(film, tmp_path / "film_out", height=1.8, camera_pitch_deg=20.0, camera_roll_deg=-5.0)
    again = run(tmp_path / "film_out" / "bag", tmp_path / "bag_out")
    assert again["people"]["p1"]["height_m"] == stated["people"]["p1"]["height_m"] == pytest.approx(1.8)
    run(tmp_path / "film_out" / "bag", tmp_path / "level_out", camera_pitch_deg=0.0)

    def flexion(folder: str, group: str) -> np.ndarray:
        columns = table(tmp_path / folder / "joint_angles" / f"{group}.csv")
        return np.array(columns[f"{group}_flex_deg"], float)

    for group in ("pelvis", "right_hip"):
        np.testing.assert_allclose(flexion("bag_out", group), flexion("film_out", group), atol=0.1)
    # What is stated counts all the same.
    assert np.abs(flexion("level_out", "pelvis") - flexion("film_out", "pelvis")).min() > 5.0


def write_people(folder: Path, stamps: np.ndarray) -> Path:
    """A bag with the people in 2D of images of these stamps, and nothing else."""
    with BagWriter(folder, [Topic(f"/{topics.PEOPLE2D}", names.PEOPLE2D)]) as writer:
        for stamp in stamps.tolist():
            one = one_person(stamp)[0]
            person = Person2D("p1", 0.9, one.box_px, one.xy_px, one.confidence)
            people = People2D(stamp, "camera", MEDIAPIPE33.name, WIDTH, HEIGHT, (person,))
            writer.write(f"/{topics.PEOPLE2D}", serialize_message(people2d_to_msg(people)))
    return folder


def test_a_bag_that_was_cut_short_is_read_as_far_as_it_goes(
    eyes: Callable[[Sees], list[int]], tmp_path: Path
) -> None:
    whole = write_people(tmp_path / "whole", NS_PER_S + np.arange(60) * NS_PER_S // 20)
    torn = tmp_path / "torn"
    torn.mkdir()
    content = (whole / "whole_0.mcap").read_bytes()
    (torn / "torn_0.mcap").write_bytes(content[: int(0.7 * len(content))])
    result = run(torn, tmp_path / "out")
    assert 20 <= result["images"] < 60
    assert "cut short" in result["warnings"][0]
    assert len(read_trc(tmp_path / "out" / "torn_final.trc")) == result["images"]


def test_a_bag_of_images_is_looked_at(eyes: Callable[[Sees], list[int]], tmp_path: Path) -> None:
    looked_at = eyes(one_person)
    start = 1_700_000_000 * NS_PER_S
    with BagWriter(
        tmp_path / "camera", [Topic(f"/{topics.IMAGE_COMPRESSED}", names.COMPRESSED_IMAGE)]
    ) as writer:
        for index in range(30):
            message = compressed_to_msg(
                image_of(index, WIDTH, HEIGHT), start + index * NS_PER_S // FPS, "lens"
            )
            writer.write(f"/{topics.IMAGE_COMPRESSED}", serialize_message(message))
    result = run(tmp_path / "camera", tmp_path / "out", overlay=True)
    assert result["images"] == 30
    assert sorted(set(looked_at)) == [start + index * NS_PER_S // FPS for index in range(30)]
    assert (tmp_path / "out" / "overlay.webm").is_file()
    [refined, *_] = read(tmp_path / "out" / "bag", [f"/{topics.REFINED}"])
    assert refined.decode().header.frame_id == "lens"


def test_uneven_stamps_become_files_at_an_even_rate(
    eyes: Callable[[Sees], list[int]], tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    stamps = 5 * NS_PER_S + np.cumsum(np.rint(rng.uniform(0.02, 0.05, 40) * NS_PER_S).astype(np.int64))
    write_people(tmp_path / "uneven", stamps)
    run(tmp_path / "uneven", tmp_path / "out")
    markers = read_trc(tmp_path / "out" / "uneven_final.trc")
    steps = np.diff(markers.stamps) / NS_PER_S
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
    assert not markers.missing.any()


def test_a_bag_without_our_topics_is_refused(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "talk", [Topic("/chatter", "std_msgs/msg/String")]) as writer:
        writer.write("/chatter", serialize_message(String(data="hello")), NS_PER_S)
    with pytest.raises(ValueError, match=r"no message on /pose2d/people or .*; it holds /chatter"):
        run(tmp_path / "talk", tmp_path / "out")
    assert not list(tmp_path.glob(".*"))


# The same whatever happens


def test_two_runs_are_equal_to_the_byte(
    told: tuple[Path, dict], eyes: Callable[[Sees], list[int]], tmp_path: Path
) -> None:
    first, _ = told
    run(first.parent / "film.mp4", tmp_path / "out", overlay=True, height=1.8)
    assert contents(tmp_path / "out") == contents(first)


@pytest.mark.parametrize(("at", "whole"), [(3, 0), (25, 1), (50, 2)], ids=["detection", "later", "overlay"])
def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    eyes: Callable[[Sees], list[int]], told: tuple[Path, dict], tmp_path: Path, at: int, whole: int
) -> None:
    unbroken, _ = told
    film = unbroken.parent / "film.mp4"
    looked_at = eyes(one_person)
    sent = False

    def interrupt(done: int, _total: int | None) -> None:
        nonlocal sent
        if done >= at and not sent:
            sent = True
            os.kill(os.getpid(), signal.SIGINT)

    job = ProcessJob.asked(film, tmp_path / "out", height=1.8)
    # Nothing is kept of a part that nobody came to the end of.
    said = "interrupted; .* the same command goes on from there" if whole else "^interrupted$"
    with pytest.raises(ValueError, match=said):
        process.process(job, interrupt)
    assert sent
    assert not job.out.exists()
    before = len(looked_at)
    process.process(job, silent)
    assert contents(job.out) == contents(unbroken)
    assert not list(tmp_path.glob(".*"))
    # Of the two segments, of 21 and 11 images and 10 to warm up the second, those that were whole are not looked at again.
    assert len(looked_at) - before == [21 + 10 + 11, 10 + 11, 0][whole]


def test_what_another_input_left_is_not_used(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = eyes(one_person)

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(process, "write_bag", fail)
        with pytest.raises(OSError, match="No space left"):
            run(film, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / ".out.part" / "detections").is_dir()
    looked_at.clear()
    run(film, tmp_path / "out")
    assert not looked_at
    with monkeypatch.context() as broken:
        broken.setattr(process, "write_bag", fail)
        with pytest.raises(OSError, match="No space left"):
            run(film, tmp_path / "out")
    assert (tmp_path / "out" / "film_final.trc").is_file()  # the earlier result
    looked_at.clear()
    run(write_film(film, FRAMES - 1), tmp_path / "out")
    assert len(set(looked_at)) == FRAMES - 1


def test_what_was_looked_at_is_used_again_unless_the_detector_is_told_otherwise(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = eyes(one_person)
    camera = tmp_path / "camera.yaml"
    write_camera_yaml(camera, Camera.from_field_of_view(WIDTH, HEIGHT, 50.0), "film")

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(process, "write_bag", fail)

    def looks(**options: object) -> bool:
        looked_at.clear()
        with pytest.raises(OSError, match="No space left"):
            run(film, tmp_path / "out", **options)
        return bool(looked_at)

    assert looks()
    others = {"refine.process_noise": 0.5, "lift3d.max_distance": 50.0, "viz.show_labels": False}
    assert not looks(parameters=others, height=1.8, refiner="raw", calibration=camera)
    assert looks(parameters={"pose2d.min_detection_confidence": 0.7})
    assert looks()


def test_any_parameter_of_a_stage_reaches_its_results(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    eyes(one_person)
    told = {
        "pose2d.frame_id": "left_camera",
        "lift3d.field_of_view_deg": 75.0,
        "viz.overlay_max_size": 64,
        "refine.bone_lengths": False,
    }
    result = run(film, tmp_path / "out", overlay=True, parameters=told)
    assert "75 degrees" in result["camera"]
    assert "75 degrees is assumed" in result["warnings"][0]
    assert result["parameters"] == told
    capture = cv2.VideoCapture(str(tmp_path / "out" / "overlay.webm"))
    assert max(capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == 64
    capture.release()
    messages = list(read(tmp_path / "out" / "bag", [f"/{topics.REFINED}", f"/{topics.PEOPLE2D}"]))
    assert {message.decode().header.frame_id for message in messages} == {"left_camera"}
    run(film, tmp_path / "usual")
    assert contents(tmp_path / "usual")["film_final.trc"] != contents(tmp_path / "out")["film_final.trc"]


# What is refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"height": 0.3}, "height must be from 0.5 to 2.6 m, or 0 where it is not known, got 0.3"),
        ({"height": 30.0}, "height must be from 0.0 to 2.6, got 30.0"),
        ({"mass": 1.0}, "mass must be from 2 to 400 kg, or 0 where it is not known, got 1"),
        ({"visibility_min": 1.5}, "visibility_min must be from 0.0 to 1.0, got 1.5"),
        ({"visibility_min": float("nan")}, "visibility_min must be a number, got nan"),
        ({"augmentation_cycles": 0}, "augmentation_cycles must be from 1 to 64, got 0"),
        ({"num_poses": 99}, "num_poses must be from 1 to 10, got 99"),
        ({"camera_pitch_deg": 300.0}, "camera_pitch_deg must be from -90.0 to 90.0, got 300.0"),
        ({"calibration": Path("nowhere.yaml")}, "there is no calibration file nowhere.yaml"),
        ({"heigth": 1.8}, "process has no option 'heigth'; did you mean 'height'?"),
        ({"refiner": "kalmann"}, "unknown refiner 'kalmann'; did you mean 'kalman'"),
        ({"pelvis_sequence": "XYZ"}, "pelvis_sequence must be one of ZXY, YXZ, got 'XYZ'"),
    ],
)
def test_parameters_out_of_range_are_named(film: Path, tmp_path: Path, options: dict, sentence: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the sentence is compared below)
        ProcessJob.asked(film, tmp_path / "out", **options)
    assert sentence in str(error.value)


def test_the_lifter_is_told_of_a_tilt_that_is_stated_and_of_no_other(film: Path, tmp_path: Path) -> None:
    untold = ProcessJob.asked(film, tmp_path / "out")
    assert untold.lift3d.camera_tilt == "unknown"
    assert settings_of(untold)["camera"] == "not stated"
    level = ProcessJob.asked(film, tmp_path / "out", camera_pitch_deg=0.0)
    assert level.lift3d.camera_tilt == "stated"
    assert level.options == untold.options
    tilted = ProcessJob.asked(film, tmp_path / "out", camera_roll_deg=-13.0)
    assert (tilted.lift3d.camera_pitch_deg, tilted.lift3d.camera_roll_deg) == (0.0, -13.0)
    assert (tilted.options.camera_pitch_deg, tilted.options.camera_roll_deg) == (0.0, -13.0)
    assert settings_of(tilted)["camera"] == "looks 0° down, rolled by -13°"


def test_inputs_that_are_none(eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no '.*nowhere.mp4'; name a video"):
        ProcessJob.asked(tmp_path / "nowhere.mp4", tmp_path / "out")
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for source, said in (("text.mp4", "text.mp4 is not a video"), ("empty", "holds no images")):
        with pytest.raises(ValueError, match=said):
            run(tmp_path / source, tmp_path / "out")
    with pytest.raises(ValueError, match="did you mean 'kalman'"):
        run(film, tmp_path / "out", refiner="kalmann")
    with pytest.raises(ValueError, match="did you mean 'mediapipe_world'"):
        run(film, tmp_path / "out", lifter="mediapipe_wold")
    eyes(lambda _stamp: [])
    with pytest.raises(ValueError, match=f"nobody was found in the {FRAMES} images"):
        run(film, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_earlier_results_are_replaced(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    run(film, out)
    first = contents(out)
    run(film, out, height=1.5)
    assert contents(out) != first
    other = write_film(tmp_path / "other.mp4", 20)
    with pytest.raises(ValueError, match=r"holds the results of film.mp4; .*--force"):
        run(other, out)
    run(other, out, force=True)
    assert not (out / "film_final.trc").exists()
    for mine, text in (("thesis", "keep"), ("foreign", '{"format": 3}'), ("listed", "[]")):
        (tmp_path / mine).mkdir()
        (tmp_path / mine / "summary.json").write_text(text)
        with pytest.raises(ValueError, match="holds other files"):
            run(film, tmp_path / mine, force=True)
    with pytest.raises(ValueError, match="is a file; name a folder"):
        run(film, film)


def test_what_somebody_put_beside_the_results_is_never_replaced(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(film, out)
    (out / "joint_angles" / "my figures").mkdir()
    (out / "analysis.xlsx").write_text("a week's work")
    before = contents(out)
    for force in (False, True):
        with pytest.raises(
            ValueError, match=r"also holds 'analysis.xlsx' and 1 more, which its run did not make"
        ):
            run(film, out, force=force)
    assert contents(out) == before
    (out / "analysis.xlsx").unlink()
    (out / "joint_angles" / "my figures").rmdir()
    with pytest.raises(ValueError, match="holds the input"):
        run(out / "bag", out, force=True)
    assert (out / "bag").is_dir()
    run(film, out)


def test_images_that_lack_are_told_of(eyes: Callable[[Sees], list[int]], tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(12):
        cv2.imwrite(str(folder / f"{index:03d}.png"), image_of(index))
    (folder / "005.png").write_bytes(b"broken")
    result = run(folder, tmp_path / "out", min_seconds=0.0)
    assert "1 images could not be used, and are left out." in result["warnings"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 images could not be used" in page


def test_angles_of_a_group_are_those_of_the_joints_where_markers_lack() -> None:
    def angles(value: float, missing: dict[str, int]) -> AngleSequence:
        flags = np.zeros((10, len(NAMES)), np.uint8)
        for group, frames in missing.items():
            flags[:frames, [row for row, angle in enumerate(ANGLES) if angle.group == group]] = 1
        angle = np.where(flags > 0, np.nan, value)
        return AngleSequence(NAMES, np.arange(10), angle, np.full_like(angle, 0.1), flags)

    by_markers = angles(1.0, {"left_elbow": 6, "right_knee": 1, "trunk": 10, "right_hip": 5})
    by_joints = angles(2.0, {"trunk": 10, "right_hip": 4})
    found, groups = _better(by_markers, by_joints)
    assert groups == ["left_elbow"]
    for row, angle in enumerate(ANGLES):
        taken = by_joints if angle.group == "left_elbow" else by_markers
        np.testing.assert_array_equal(found.angle[:, row], taken.angle[:, row])
        np.testing.assert_array_equal(found.flags[:, row], taken.flags[:, row])


def test_two_processes_do_not_work_in_one_folder(
    eyes: Callable[[Sees], list[int]], film: Path, tmp_path: Path
) -> None:
    (tmp_path / ".out.part").mkdir()
    with (tmp_path / ".out.part" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process makes"):
            run(film, tmp_path / "out")


# Parts


def sequence(frames: int, first: int = 0) -> PoseSequence:
    joints = len(MEDIAPIPE33)
    return PoseSequence(
        skeleton=MEDIAPIPE33.name,
        stamps=np.arange(first, first + frames) * 10 + 5,
        xyz=np.arange(frames * joints * 3, dtype=float).reshape(frames, joints, 3),
        confidence=np.full((frames, joints), 0.5),
        std=np.full((frames, joints), 0.1),
        root_std=np.full((frames, 3), 0.2),
        state=np.full((frames, joints), JointState.LIFTED, np.uint8),
        person_confidence=np.full(frames, 0.8),
        person="p1",
    )


def test_joined_puts_pieces_where_they_were_and_nothing_between() -> None:
    stamps = np.arange(9) * 10 + 5
    whole = joined([(1, sequence(2, 1)), (6, sequence(3, 6))], stamps)
    np.testing.assert_array_equal(whole.stamps, stamps)
    np.testing.assert_array_equal(whole.missing.all(1), [1, 0, 0, 1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(whole.xyz[6:], sequence(3).xyz)
    assert (whole.state[3:6] == JointState.MISSING).all()
    assert (whole.confidence[3:6] == 0.0).all()
    assert np.isnan(whole.person_confidence[3:6]).all()


def test_hidden_takes_joints_out_altogether() -> None:
    seen = sequence(2)
    seen.confidence[1, 4] = 0.29
    out = hidden(seen, 0.3)
    expected = np.zeros((2, len(MEDIAPIPE33)), bool)
    expected[1, 4] = True
    np.testing.assert_array_equal(out.missing, expected)
    assert (out.state[1, 4], out.confidence[1, 4]) == (JointState.MISSING, 0.0)
    assert not hidden(seen, 0.0).missing.any()


def test_reader_gives_the_person_of_a_stamp_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pose_tools.process.overlay.BLOCK", 3)
    one = sequence(8)
    one.xyz[4] = np.nan
    reader = Reader(one)
    found = {stamp: reader.at(stamp) for stamp in (1, 5, 7, 25, 45, 55, 75, 99)}
    assert [stamp for stamp, person in found.items() if person is not None] == [5, 25, 55, 75]
    np.testing.assert_array_equal(found[55].xyz, one.xyz[5])


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["p7"], [""]),
        (["p1", "p2"], ["p1", "p2"]),
        (["a/../b", "ok"], ["a_.._b", "ok"]),
        (["A", "a"], ["A_1", "a_2"]),
    ],
)
def test_labels_are_different_and_no_paths(ids: list[str], expected: list[str]) -> None:
    assert labels(ids) == expected


def test_a_worker_that_dies_is_said_in_a_sentence() -> None:
    with pytest.raises(OSError, match="ended before its time"), Workers(1, lambda: None) as workers:
        workers.finish(workers.submit(os._exit, 3))


def test_workers_raise_what_their_task_raised_and_stop_when_told() -> None:
    with pytest.raises(ZeroDivisionError), Workers(1, lambda: None) as workers:
        workers.finish(workers.submit(divmod, 1, 0))

    def enough() -> None:
        raise Stopped

    with pytest.raises(Stopped), Workers(0, enough) as here:
        here.submit(tick)
    tick()  # nobody listens any more


# The real thing


@pytest.mark.skipif(
    not all(assets.is_intact(name) for name in (VIDEO, "pose_landmarker_full.task")),
    reason="NOT RUN ON REAL VIDEO: fetch it with `python -m pose_core.assets`",
)
def test_real_video_by_two_processes_and_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "short.mp4"
    capture = cv2.VideoCapture(str(assets.path(VIDEO)))
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 60.0, (540, 960))
    for _ in range(20):
        writer.write(cv2.resize(capture.read()[1], (540, 960), interpolation=cv2.INTER_AREA))
    writer.release()
    capture.release()
    monkeypatch.setattr(process_input, "SHORTEST", 10)
    monkeypatch.setattr(process_figures, "GROUPS", ("left_knee",))
    result = run(film, tmp_path / "two", processes=2, overlay=True)
    assert result["images"] == 20
    assert result["people"]["p1"]["images"] == 20
    pictures = {path.name for path in (tmp_path / "two" / "joint_angles").glob("*.png")}
    assert pictures == {"left_knee.png", "overview.png"}
    monkeypatch.setattr(process, "draw_angles", lambda *_: [])
    run(film, tmp_path / "one", processes=1, overlay=True)
    two, one = contents(tmp_path / "two"), contents(tmp_path / "one")
    assert {name for name in two if not name.endswith(".png")} == set(one)
    # Only the first has figures, which its summary lists.
    assert [name for name in one if one[name] != two[name]] == ["summary.json"]
    said = [json.loads((tmp_path / folder / "summary.json").read_text()) for folder in ("two", "one")]
    assert {*said[0].pop("files")} - {*said[1].pop("files")} == {f"joint_angles/{name}" for name in pictures}
    assert said[0] == said[1]
    markers = read_trc(tmp_path / "two" / "short_final.trc")
    assert len(markers) == 20
    assert markers.of("Head")[:, 1].mean() > markers.of("Hip")[:, 1].mean()
