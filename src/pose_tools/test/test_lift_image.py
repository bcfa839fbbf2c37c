"""`pose lift`: what the array holds, whatever the image, and what is told where there can be none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from lift3d_node import models
from lift3d_node.intrinsics import Intrinsics
from lift3d_node.params import Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose2d_node.detection import Detection
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import VIDEO_ORIGIN_NS
from pose_core.conversion import conversion
from pose_core.people import People2D, Person2D
from pose_core.skeleton import MEDIAPIPE33, SKELETONS
from pose_core.system.exits import FAILED, WRONG_CONFIGURATION, WrongConfiguration, code_of
from pose_tools.cli.main import app
from pose_tools.files import painter
from pose_tools.files.lift import LiftJob, lift_image

WIDTH, HEIGHT = 320, 240
MIDDLE = np.array([160.0, 120.0])


def figure(offset: float = 0.0) -> np.ndarray:
    """(33, 2) pixels of somebody who stands facing the camera."""
    heights = {"nose": -70, "eye": -74, "ear": -72, "mouth": -66, "shoulder": -50, "elbow": -25, "wrist": -2}
    heights |= {"pinky": 4, "index": 5, "thumb": 3, "hip": 0, "knee": 40, "ankle": 80, "heel": 84, "foot": 86}
    widths = {
        "shoulder": 18,
        "elbow": 24,
        "wrist": 26,
        "pinky": 28,
        "index": 27,
        "thumb": 25,
        "hip": 10,
        "knee": 11,
    }
    widths |= {"ankle": 11, "heel": 11, "foot": 13, "eye": 3, "ear": 7, "mouth": 2}
    points = []
    for joint in MEDIAPIPE33.joints:
        part = next(word for word in joint.split("_") if word in heights)
        side = 1.0 if "left" in joint else -1.0 if "right" in joint else 0.0
        points.append((side * widths.get(part, 0.0) + offset, heights[part]))
    return MIDDLE + np.array(points, float)


def seen(offset: float = 0.0) -> Detection:
    xy_px = figure(offset)
    box = np.concatenate([xy_px.min(0), xy_px.max(0)])
    return Detection(xy_px, np.full(33, 0.9), np.full((33, 3), np.nan), box, 0.9)


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> list[Detection]:
    """Whom the detector finds, in place of what MediaPipe would."""
    found = [seen()]

    def open_detector(_params: Pose2DParams) -> Any:
        return SimpleNamespace(
            device="cpu",
            restarts=0,
            restart_reason="",
            inference=(0, 0),
            detect=lambda _stamp, _bgr: list(found),
            close=lambda: None,
        )

    monkeypatch.setattr(painter, "open_detector", open_detector)
    return found


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "input.jpg"
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    return path


def expected(skeleton: str, *offsets: float, **params: Any) -> np.ndarray:
    """(people, J, 3) as the stage gives them, converted."""
    stage = PeopleLifter(Lift3DParams(**params))
    people = tuple(
        Person2D(f"p{number}", one.score, one.box_px, one.xy_px, one.confidence)
        for number, one in enumerate(map(seen, offsets), 1)
    )
    flat = People2D(VIDEO_ORIGIN_NS, Pose2DParams.frame_id, MEDIAPIPE33.name, WIDTH, HEIGHT, people)
    camera = Intrinsics(Lift3DParams.field_of_view_deg).of(WIDTH, HEIGHT)
    made = conversion(stage.lifter.skeleton_out, skeleton)
    lifted = stage.process(flat, None, camera).people
    return np.stack([made.apply(one.xyz, one.joint_confidence)[0] for one in lifted])


def test_one_person_is_what_the_stage_gives_converted(eyes, image, tmp_path):
    result = lift_image(LiftJob(image, tmp_path / "pred3d.npy"))
    array = np.load(tmp_path / "pred3d.npy")
    assert array.shape == (28, 3)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, expected("mpi_inf28", 0.0)[0])
    assert np.isfinite(array).all()
    joints = SKELETONS.get("mpi_inf28").joints
    xyz = dict(zip(joints, array, strict=True))
    # Metres of the optical frame: y goes down, z away, the left of somebody who faces the camera is to the right.
    assert xyz["head"][1] < xyz["pelvis"][1] < xyz["left_ankle"][1]
    assert xyz["left_shoulder"][0] > xyz["right_shoulder"][0]
    assert 1.0 < np.linalg.norm(xyz["head_top"] - xyz["left_ankle"]) < 2.0
    assert array[:, 2].min() > 1.0
    assert result["lifter"] == Lift3DParams.lifter
    assert result["joints"] == "converted from the 33 of mediapipe33 that the lifter gives"
    assert result["people"]["p1"]["reprojection px"] < 5.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input.jpg", "pred3d.npy"]


def test_a_lifter_of_28_joints_is_not_converted(eyes, image, tmp_path, monkeypatch):
    made, usual = conversion("mediapipe33", "mpi_inf28"), models.make

    class Of28:
        """As a network of 28 joints is: the usual one, in other joints."""

        name, skeleton_in, skeleton_out = "of28", "mediapipe33", "mpi_inf28"
        uses_world, skeleton_of_centres, up = False, "", None

        def __init__(self, params: Lift3DParams) -> None:
            self._inner = usual(params)

        def lift(self, *given: Any) -> list[Any]:
            return [self._of(shape) for shape in self._inner.lift(*given)]

        @staticmethod
        def _of(shape: Any) -> Any:
            xyz, confidence = made.apply(shape.xyz - 0.01, shape.confidence)
            return replace(
                shape,
                xyz=xyz,
                confidence=confidence,
                std=np.full(28, 0.05),
                state=np.ones(28, np.uint8),
                centres=None,
                centres_std=None,
                depth_share=1 / 3,
            )

    params = Lift3DParams(joint_centres=False)
    monkeypatch.setattr(models, "make", Of28)
    result = lift_image(LiftJob(image, tmp_path / "a.npy", lift3d=params))
    assert (result["lifter"], result["joints"]) == ("of28", "as the lifter gives them")
    np.testing.assert_array_equal(
        np.load(tmp_path / "a.npy"), expected("mpi_inf28", 0.0, joint_centres=False)[0]
    )


@pytest.mark.parametrize("skeleton", ["mediapipe33", "h36m17", "coco17"])
def test_other_skeletons(eyes, image, tmp_path, skeleton):
    result = lift_image(LiftJob(image, tmp_path / "a.npy", skeleton))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected(skeleton, 0.0)[0])
    assert ("converted" in result["joints"]) == (skeleton != "mediapipe33")


def test_a_stated_height_scales_the_person(eyes, image, tmp_path):
    for height in (1.5, 1.8):
        lift_image(LiftJob(image, tmp_path / f"{height}.npy", lift3d=Lift3DParams(height=height)))
    small, tall = (np.load(tmp_path / f"{height}.npy") for height in (1.5, 1.8))
    size = np.linalg.norm(tall - tall[0], axis=1).max() / np.linalg.norm(small - small[0], axis=1).max()
    assert size == pytest.approx(1.2, rel=1e-3)


@pytest.mark.parametrize("offsets", [(0.0,), (-60.0, 60.0)])
def test_several_people_have_a_row_each(eyes, image, tmp_path, offsets):
    eyes[:] = map(seen, offsets)
    lift_image(LiftJob(image, tmp_path / "a.npy", pose2d=Pose2DParams(num_poses=3)))
    array = np.load(tmp_path / "a.npy")
    assert array.shape == (len(offsets), 28, 3)
    np.testing.assert_array_equal(array, expected("mpi_inf28", *offsets))


def test_the_picture_has_the_people_drawn_back(eyes, image, tmp_path):
    job = LiftJob(image, tmp_path / "a.npy", plot=tmp_path / "a.png", pnp=tmp_path / "overlay.png")
    lift_image(job)
    drawn = cv2.imread(str(job.pnp))
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    changed = (drawn != 90).any(-1)
    x, y = MIDDLE.astype(int)
    assert changed[y - 60 : y + 90, x - 40 : x + 40].mean() > 0.05
    assert not changed[:, :40].any()
    figure_of = cv2.imread(str(job.plot))
    assert figure_of.shape[:2] == (1350, 2100)
    # The image on the left, its people on the right.
    assert (figure_of[400:950, 100:1000] == 90).all(-1).mean() > 0.3
    assert (figure_of[:, 1050:] < 128).all(-1).sum() > 1000


def test_nobody_is_one_sentence_and_no_file(eyes, image, tmp_path):
    eyes.clear()
    with pytest.raises(
        ValueError, match=r"^nobody was found in .*input.jpg; is a whole person in sight\?$"
    ) as error:
        lift_image(LiftJob(image, tmp_path / "a.npy", plot=tmp_path / "a.png"))
    assert code_of(error.value) == FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["input.jpg"]


def test_an_existing_array_stays_whole_where_the_new_one_fails(eyes, image, tmp_path, monkeypatch):
    (tmp_path / "a.npy").write_bytes(b"older")

    def fails(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("pose_core.files.os.replace", fails)
    with pytest.raises(OSError, match="no space"):
        lift_image(LiftJob(image, tmp_path / "a.npy", force=True))
    assert (tmp_path / "a.npy").read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "input.jpg"]


@pytest.mark.parametrize(
    ("out", "given", "sentence", "code"),
    [
        ("a.txt", {}, "the array to write must end in .npy, got", FAILED),
        ("none/a.npy", {}, "there is no folder", FAILED),
        ("there.npy", {}, "there.npy exists already; name another file, or replace it with --force", FAILED),
        ("a.npy", {"source": "none.jpg"}, "there is no file", FAILED),
        ("a.npy", {"source": "."}, "is a folder; name one image, or use pose process", FAILED),
        ("a.npy", {"plot": "a.pdf"}, "the figure to write must end in .png", FAILED),
        (
            "a.npy",
            {"pnp": "input.jpg", "force": True},
            "is the image that is read; name another file",
            FAILED,
        ),
        ("a.npy", {"pnp": "b.png", "plot": "b.png"}, "each file needs a name of its own", FAILED),
        ("a.npy", {"skeleton": "mpi_inf82"}, "mpi_inf28", WRONG_CONFIGURATION),
        ("a.npy", {"lift3d": Lift3DParams(lifter="steaming_tcn")}, "streaming_tcn", WRONG_CONFIGURATION),
        (
            "a.npy",
            {"pose2d": Pose2DParams(calibration="none.yaml")},
            "no calibration file",
            WRONG_CONFIGURATION,
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(image, tmp_path, out, given, sentence, code):
    (tmp_path / "there.npy").write_bytes(b"older")
    paths = {name: tmp_path / given[name] for name in ("source", "plot", "pnp") if name in given}
    with pytest.raises(ValueError, match=sentence) as error:
        LiftJob(**({"source": image, "out": tmp_path / out} | given | paths))
    assert code_of(error.value) == code


def test_a_skeleton_that_the_lifter_does_not_have(eyes, image, tmp_path):
    with pytest.raises(
        WrongConfiguration, match=r"none of which is in 'hand21'; choose another skeleton or lifter"
    ):
        lift_image(LiftJob(image, tmp_path / "a.npy", "hand21"))


def test_damaged_images_are_one_sentence(eyes, image, tmp_path):
    image.write_bytes(image.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"^.*input.jpg cannot be lifted: ") as error:
        lift_image(LiftJob(image, tmp_path / "a.npy"))
    assert code_of(error.value) == FAILED


@pytest.mark.parametrize("pixels", [np.uint8, np.uint16])
def test_grey_and_deep_images_are_taken(eyes, tmp_path, pixels):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((HEIGHT, WIDTH), 90, pixels))
    lift_image(LiftJob(tmp_path / "a.png", tmp_path / "a.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected("mpi_inf28", 0.0)[0])


def test_the_command(eyes, image, tmp_path, monkeypatch):
    monkeypatch.setattr("pose_tools.process.first_use.fetch_missing", lambda *_: None)
    words = ["lift", str(image), "-o", str(tmp_path / "pred3d.npy"), "--height", "1.8", "--json"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    np.testing.assert_array_equal(np.load(tmp_path / "pred3d.npy"), expected("mpi_inf28", 0.0, height=1.8)[0])
