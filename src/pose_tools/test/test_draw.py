"""`pose draw`: what comes in and what goes out, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pose2d_node.detection import Detection
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.testing import FakeDetector
from pose2d_node.tracker import Tracker
from pose_core import assets
from pose_core.callbacks import no_progress
from pose_core.geometry.standing import standing_joints
from pose_core.people import People2D
from pose_core.skeleton import MEDIAPIPE33
from pose_ros import topics
from pose_ros.messages import names
from pose_tools.bag.messages import constructor, serialize
from pose_tools.bag.messages import writer as message_writer
from pose_tools.bag.topics import result_topics
from pose_tools.bag.writer import BagWriter
from pose_tools.cli.main import app
from pose_tools.files import painter
from pose_tools.files.draw import DrawJob, draw
from pose_tools.files.drawn_video import GROUND
from pose_tools.files.painter import Painter
from pose_tools.graph.demo import VIDEO
from pose_viz.drawing.styles import STYLES
from pose_viz.palette import BONE, JOINT, bgr255

WIDTH, HEIGHT = 320, 240
BACKGROUND = 60
BAG_LEVEL = 140
"""Of images of a bag, which are no plain ground."""


def standing(x: float = 160.0, size: float = 180.0) -> Detection:
    """Somebody upright who faces the camera, `size` pixels high."""
    body = standing_joints("mediapipe33")
    body = np.where(np.isfinite(body), body, 0.0)
    xy_px = np.stack([x + size * body[:, 0], HEIGHT / 2.0 - size * (body[:, 1] - body[:, 1].mean())], -1)
    box = np.concatenate([xy_px.min(0), xy_px.max(0)])
    return Detection(xy_px, np.ones(33), np.zeros((33, 3)), box, 1.0)


KNEE = standing().xy_px[MEDIAPIPE33.index("left_knee")]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Detection]:
    """Who is in every image; without MediaPipe."""
    people = [standing()]
    monkeypatch.setattr(painter, "open_detector", lambda params: FakeDetector(people))
    return people


def image(path: Path, height: int = HEIGHT, width: int = WIDTH) -> Path:
    assert cv2.imwrite(str(path), np.full((height, width, 3), BACKGROUND, np.uint8))
    return path


def video(path: Path, frames: int = 6) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (WIDTH, HEIGHT))
    for _ in range(frames):
        writer.write(np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8))
    writer.release()
    return path


def made(source: Path, out: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    result = draw(DrawJob(source, out, **options), no_progress, said.append)
    return result, said


def pixel(picture: np.ndarray, xy_px: np.ndarray) -> tuple[int, ...]:
    x, y = np.rint(xy_px).astype(int)
    return tuple(picture[y, x].tolist())


def left(folder: Path) -> set[str]:
    """Names in a folder, hidden ones too."""
    return {file.name for file in folder.iterdir()}


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".jpg", ".webp"])
def test_an_image_becomes_an_image(tmp_path: Path, seen: list[Detection], suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    result, said = made(image(tmp_path / "in.png"), out, style="plain", skeleton="coco17")
    assert result == {"out": str(out), "style": "plain", "images": 1, "people": 1}
    assert said == []
    picture = cv2.imread(str(out))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(np.subtract(pixel(picture, KNEE), bgr255(JOINT))).max() <= (
        0 if suffix in (".png", ".bmp", ".tif") else 70
    )
    assert left(tmp_path) == {"in.png", out.name}


@pytest.mark.parametrize("style", STYLES.names())
def test_every_style_is_written(tmp_path: Path, seen: list[Detection], style: str) -> None:
    seen.append(standing(260.0))
    result, _ = made(image(tmp_path / "in.png"), tmp_path / "out.png", style=style)
    assert result["people"] == 2
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert (picture != BACKGROUND).any()


def test_the_lifted_stand_beside(tmp_path: Path, seen: list[Detection]) -> None:
    made(image(tmp_path / "in.png"), tmp_path / "out.png", style="plain", with_3d=True)
    picture = cv2.imread(str(tmp_path / "out.png"))
    assert picture.shape[0] == HEIGHT
    assert picture.shape[1] > WIDTH
    assert (picture[:, :WIDTH] == bgr255(BONE)).all(-1).any()
    beside = np.abs(picture[:, WIDTH:].astype(int) - bgr255(JOINT)).max(-1) < 40
    assert beside.any()


def test_transparent_pictures_have_nothing_but_people(tmp_path: Path, seen: list[Detection]) -> None:
    made(image(tmp_path / "in.jpg"), tmp_path / "out.png", style="plain", transparent=True, legend=False)
    picture = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert pixel(picture, KNEE) == (*bgr255(JOINT), 255)
    assert picture[0, 0].tolist() == [0, 0, 0, 0]


def test_nobody_leaves_the_file_as_it_is_and_is_told_once(tmp_path: Path, seen: list[Detection]) -> None:
    seen.clear()
    source = tmp_path / "in.jpg"
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(source), noise, [cv2.IMWRITE_JPEG_QUALITY, 60])
    result, said = made(source, tmp_path / "out.jpeg")
    assert result["people"] == 0
    assert said == ["nobody was found in in.jpg; the image is as it was"]
    assert (tmp_path / "out.jpeg").read_bytes() == source.read_bytes()
    made(source, tmp_path / "out.png")
    assert (cv2.imread(str(tmp_path / "out.png")) == cv2.imread(str(source))).all()


def test_a_folder_becomes_a_folder(tmp_path: Path, seen: list[Detection]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, height in (("img2.png", 240), ("img10.png", 200), ("b.jpg", 240)):
        image(folder / name, height)
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not an image")
    result, said = made(folder, tmp_path / "out", style="plain")
    assert result["images"] == 3
    assert result["left_out"] == 1
    assert said == ["left out, because they cannot be read: broken.png"]
    assert left(tmp_path / "out") == {"img2.png", "img10.png", "b.jpg"}
    assert left(tmp_path) == {"in", "out"}
    assert cv2.imread(str(tmp_path / "out" / "img10.png")).shape[0] == 200
    with pytest.raises(ValueError, match="holds files; write to it all the same with --force"):
        DrawJob(folder, tmp_path / "out")
    (tmp_path / "out" / "mine.txt").touch()
    made(folder, tmp_path / "out", force=True)
    assert "mine.txt" in left(tmp_path / "out")


def test_images_of_a_folder_have_nothing_to_do_with_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = FakeDetector([standing()])
    monkeypatch.setattr(painter, "open_detector", lambda params: detector)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        image(folder / name)
    job = DrawJob(folder, tmp_path / "out")
    draw(job, no_progress, lambda sentence: None)
    first, second = detector.stamps
    assert second - first > job.pose2d.max_frame_gap * 1e9
    assert detector.closed


def test_a_folder_of_broken_images_leaves_nothing(tmp_path: Path, seen: list[Detection]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="holds 1 images, none of which can be used"):
        made(folder, tmp_path / "out")
    assert left(tmp_path) == {"in"}


def test_transparent_pictures_of_one_name_do_not_replace_each_other(
    tmp_path: Path, seen: list[Detection]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "a.jpg", "b.jpg"):
        image(folder / name)
    made(folder, tmp_path / "out", transparent=True)
    assert left(tmp_path / "out") == {"a_png.png", "a_jpg.png", "b.png"}


@pytest.mark.parametrize("style", ["plain", "flat"])
def test_a_video_becomes_a_video(tmp_path: Path, seen: list[Detection], style: str) -> None:
    result, said = made(video(tmp_path / "in.mp4"), tmp_path / "out.mp4", style=style)
    assert result == {
        "out": str(tmp_path / "out.mp4"),
        "style": style,
        "images": 6,
        "with_people": 6,
        "most_people": 1,
        "left_out": 0,
    }
    assert said == []
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    good, picture = capture.read()
    assert good
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert abs(capture.get(cv2.CAP_PROP_FPS) - 30.0) < 0.5
    if style == "plain":
        assert np.abs(np.subtract(pixel(picture, KNEE), bgr255(JOINT))).max() < 70
    assert left(tmp_path) == {"in.mp4", "out.mp4"}


def test_a_folder_becomes_a_video_where_one_is_named(tmp_path: Path, seen: list[Detection]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        image(folder / f"{number}.png")
    image(folder / "4.png", 120)
    result, said = made(folder, tmp_path / "out.mp4")
    assert (result["images"], result["left_out"]) == (4, 1)
    assert len(said) == 1


def bag(path: Path, *people: People2D, images: Iterable[int] = ()) -> Path:
    """A bag of 2D people, and of grey images with these stamps."""
    kinds = {topic.name: topic for topic in result_topics(images=True)}
    chosen = (topics.PEOPLE2D,) if people else ()
    chosen += (topics.IMAGE_COMPRESSED,) if images else ()
    with BagWriter(path, [replace(kinds[name], name=f"/{name}") for name in chosen]) as writer:
        logged = 0
        for stamp in images:
            logged = max(logged, stamp)  # what comes late has an old stamp
            writer.write(f"/{topics.IMAGE_COMPRESSED}", serialize(compressed(stamp)), logged)
        for one in people:
            writer.write(f"/{topics.PEOPLE2D}", serialize(message_writer().people2d(one)), one.stamp)
    return path


def compressed(stamp: int) -> Any:
    """A message with an image."""
    seconds, rest = divmod(stamp, 10**9)
    header = constructor("std_msgs/msg/Header")(
        stamp=constructor("builtin_interfaces/msg/Time")(sec=seconds, nanosec=rest), frame_id="cam"
    )
    content = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), BAG_LEVEL, np.uint8))[1]
    return constructor(names.COMPRESSED_IMAGE)(header=header, format="png", data=content.ravel())


def walk(images: int) -> list[People2D]:
    """Somebody in some images one after the other."""
    estimator = Pose2DEstimator(FakeDetector([standing()]), Tracker())
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return [estimator.process(10**9 + n * 33_333_333, black, "cam").people for n in range(images)]


def test_people_of_a_bag_without_images_stand_on_a_plain_ground(tmp_path: Path) -> None:
    result, _ = made(bag(tmp_path / "bag", *walk(5)), tmp_path / "out.mp4", style="plain", skeleton="coco17")
    assert result["images"] == result["with_people"] == 5
    good, picture = cv2.VideoCapture(str(tmp_path / "out.mp4")).read()
    assert good
    assert np.abs(picture[0, 0].astype(int) - GROUND).max() < 6
    assert np.abs(np.subtract(pixel(picture, KNEE), bgr255(JOINT))).max() < 70


@pytest.mark.parametrize("recorded", [True, False])
def test_people_of_a_bag_with_images_stand_on_them(
    tmp_path: Path, seen: list[Detection], recorded: bool
) -> None:
    """Those that were recorded, else those that are found."""
    people = walk(6)
    stamps = [one.stamp for one in people]
    if recorded:
        seen.clear()
    source = bag(tmp_path / "bag", *(people[1:] if recorded else ()), images=stamps)
    result, said = made(source, tmp_path / "out.mp4", style="plain")
    assert result["images"] == result["with_people"] == (5 if recorded else 6)
    assert result["left_out"] == recorded
    assert len(said) == recorded
    good, picture = cv2.VideoCapture(str(tmp_path / "out.mp4")).read()
    assert good
    assert np.abs(picture[0, 0].astype(int) - BAG_LEVEL).max() < 8
    assert np.abs(np.subtract(pixel(picture, KNEE), bgr255(JOINT))).max() < 70


@pytest.mark.parametrize("recorded", [True, False])
def test_images_whose_time_stands_still_or_goes_back_are_left_out(
    tmp_path: Path, seen: list[Detection], recorded: bool
) -> None:
    people = walk(3)
    first, second, third = (one.stamp for one in people)
    late = [first, first, second, first, third]
    source = bag(tmp_path / "bag", *(people if recorded else ()), images=late)
    result, said = made(source, tmp_path / "out.mp4")
    assert result["with_people"] == 3
    assert result["left_out"] == 1  # the one that goes back is passed over as it is read
    assert len(said) == 1


def test_what_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaks(FakeDetector):
        def detect(self, stamp: int, bgr: np.ndarray) -> list[Detection]:
            if len(self.stamps) == 3:
                raise KeyboardInterrupt
            return super().detect(stamp, bgr)

    monkeypatch.setattr(painter, "open_detector", lambda params: Breaks([standing()]))
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        image(folder / f"{number}.png")
    video(tmp_path / "in.mp4")
    for source, out in ((folder, tmp_path / "out"), (tmp_path / "in.mp4", tmp_path / "out.mp4")):
        with pytest.raises(KeyboardInterrupt):
            made(source, out)
    assert left(tmp_path) == {"in", "in.mp4"}


@pytest.mark.parametrize(
    ("source", "out", "options", "words"),
    [
        (
            "none.png",
            "out.png",
            {},
            "there is no .*none.png'; name an image, a folder of images, a video or a bag",
        ),
        ("in.png", "in.png", {"force": True}, "is the input itself"),
        ("in.png", "../{}/in.png", {"force": True}, "is the input itself"),
        ("in.png", "out.gif", {}, "an image cannot be written to .*; name a file that ends in .bmp"),
        ("in.png", "out", {}, "an image cannot be written to"),
        ("in.png", "there.png", {}, "is there already; replace it with --force"),
        ("in.png", "out.jpg", {"transparent": True}, "a transparent image cannot be written to .* .png"),
        ("in.png", "out.png", {"transparent": True, "style": "flat"}, "leave --transparent out"),
        ("in.png", "out.png", {"style": "plian"}, "unknown style 'plian'; did you mean 'plain'"),
        ("in.png", "out.png", {"skeleton": "coco71"}, "unknown skeleton 'coco71'; did you mean 'coco17'"),
        ("in.png", "out.png", {"skeleton": "hand21"}, "that of a hand, and no detector here finds hands"),
        ("in.png", "out.png", {"visibility_min": 2.0}, "visibility-min must be 0 to 1, got 2"),
        ("in.mp4", "out.png", {}, "a video cannot be written to .*; name a file that ends in .webm, .mp4"),
        ("in.mp4", "in.mp4", {"force": True}, "is the input itself"),
        ("in.mp4", "out.mp4", {"transparent": True}, "a video cannot be transparent"),
        ("in", "in", {"force": True}, "is the input itself"),
        ("in", "in/out.mp4", {}, "would lie in the input"),
        ("in", "out.png", {}, "is a folder of images, and so is what becomes of it"),
        ("in", "in.png", {}, "is a folder of images|is a file"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_read(
    tmp_path: Path, source: str, out: str, options: dict[str, Any], words: str
) -> None:
    image(tmp_path / "in.png")
    image(tmp_path / "there.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in.mp4").write_bytes(b"a video")
    before = left(tmp_path)
    with pytest.raises(ValueError, match=words):
        DrawJob(tmp_path / source, tmp_path / out.format(tmp_path.name), **options)
    assert left(tmp_path) == before


def test_a_linked_input_is_not_overwritten(tmp_path: Path) -> None:
    image(tmp_path / "in.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "in.png")
    with pytest.raises(ValueError, match="is the input itself"):
        DrawJob(tmp_path / "in.png", tmp_path / "link.png", force=True)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0 cut off"])
def test_broken_images_end_in_a_sentence(tmp_path: Path, seen: list[Detection], content: bytes) -> None:
    (tmp_path / "in.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"in.png cannot be drawn on: image .* must be"):
        made(tmp_path / "in.png", tmp_path / "out.png")
    assert left(tmp_path) == {"in.png"}


def test_a_missing_folder_is_told(tmp_path: Path, seen: list[Detection]) -> None:
    with pytest.raises(ValueError, match="there is no folder .*gone; make it first"):
        made(image(tmp_path / "in.png"), tmp_path / "gone" / "out.png")


def deep(path: Path) -> None:
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), BACKGROUND << 4, np.uint16))


def pages(path: Path) -> None:
    cv2.imwritemulti(str(path), [np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8)] * 2)


def grey(path: Path) -> None:
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8))


def opaque(path: Path) -> None:
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 4), BACKGROUND, np.uint8))


@pytest.mark.parametrize(
    ("write", "name", "words"),
    [
        (grey, "in.png", []),
        (grey, "in.jpg", []),
        (opaque, "in.png", []),
        (deep, "in.tif", []),
        (deep, "in.png", []),
        (
            pages,
            "in.tif",
            ["1 files are animated or have several pages; the first image of each was drawn on"],
        ),
    ],
)
def test_images_of_other_kinds_are_drawn_on(
    tmp_path: Path, seen: list[Detection], write: Any, name: str, words: list[str]
) -> None:
    write(tmp_path / name)
    _, said = made(tmp_path / name, tmp_path / "out.png", style="plain", legend=False)
    assert said == words
    picture = cv2.imread(str(tmp_path / "out.png"))
    level = int(picture[0, 0, 0])
    assert abs(level - BACKGROUND) <= 2 or (write is deep and level >= BACKGROUND)
    assert pixel(picture, KNEE) == bgr255(JOINT)


def test_a_skeleton_that_the_lifter_does_not_have_is_refused(tmp_path: Path, seen: list[Detection]) -> None:
    job = DrawJob(image(tmp_path / "in.png"), tmp_path / "out.png", with_3d=True)
    with pytest.raises(ValueError, match="none of which is in 'hand21'; choose another skeleton"):
        Painter(replace(job.painting, skeleton="hand21"))


def test_recorded_people_may_lack_what_the_lifter_takes(tmp_path: Path) -> None:
    people = People2D(10**9, "cam", "hand21", WIDTH, HEIGHT)
    bag(tmp_path / "bag", people)
    with pytest.raises(ValueError, match="no joint that keypoints of 'hand21' tell"):
        made(tmp_path / "bag", tmp_path / "out.mp4")
    assert left(tmp_path) == {"bag"}


def test_the_command_says_what_came_out(tmp_path: Path, seen: list[Detection]) -> None:
    image(tmp_path / "in.png")
    arguments = ["draw", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--style", "grouped"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    assert '"people": 1' in done.stdout
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code != 0
    assert "--force" in str(again.exception)


def test_mediapipe_finds_the_man_of_the_demo_and_nobody_in_one_pixel(tmp_path: Path) -> None:
    good, bgr = cv2.VideoCapture(str(assets.path(VIDEO))).read()
    assert good
    cv2.imwrite(str(tmp_path / "in.png"), bgr)
    result, said = made(
        tmp_path / "in.png", tmp_path / "out.png", style="plain", with_3d=True, skeleton="mpi_inf28"
    )
    assert (result["people"], said) == (1, [])
    picture = cv2.imread(str(tmp_path / "out.png"))
    changed = (picture[:, : bgr.shape[1]] == bgr255(BONE)).all(-1)
    assert changed.sum() > 2000
    image(tmp_path / "one.png", 1, 1)
    result, said = made(tmp_path / "one.png", tmp_path / "dot.png")
    assert (result["people"], said) == (0, ["nobody was found in one.png; the image is as it was"])
