from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pose2d_node.detection import BadImage
from pose2d_node.mediapipe_detector import PoseDetector, model_path
from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose_core import assets
from pose_core.skeleton import MEDIAPIPE33

MS = 1_000_000
JOINTS = len(MEDIAPIPE33)
BLACK = np.zeros((48, 64, 3), np.uint8)


def landmark(x=0.0, y=0.0, z=0.0, visibility=1.0, presence=1.0) -> SimpleNamespace:
    return SimpleNamespace(x=x, y=y, z=z, visibility=visibility, presence=presence)


def person(**first) -> tuple[list, list]:
    """33 landmarks at (0.5, 0.25), the first one as given; world landmarks 1, 2, 3 m."""
    image = [landmark(**{"x": 0.5, "y": 0.25} | first)] + [landmark(x=0.5, y=0.25)] * (JOINTS - 1)
    return image, [landmark(1.0, 2.0, 3.0)] * JOINTS


class FakeLandmarker:
    def __init__(self, people: list[tuple[list, list]]) -> None:
        self.people, self.times, self.pixels, self.closed = people, [], [], False
        self.error: Exception | None = None

    def detect_for_video(self, image, time_ms):
        if self.error:
            raise self.error
        self.times.append(time_ms)
        self.pixels.append(image.numpy_view()[0, 0].tolist())
        return SimpleNamespace(
            pose_landmarks=[image for image, _ in self.people],
            pose_world_landmarks=[world for _, world in self.people],
        )

    def close(self):
        self.closed = True
        if self.error:
            raise self.error


class Factory(list):
    """Makes landmarkers that see `people` and keeps them with their options."""

    def __init__(self, people=()) -> None:
        self.people = list(people)
        self.options: list = []

    def __call__(self, options):
        self.options.append(options)
        self.append(FakeLandmarker(self.people))
        return self[-1]


def detector(made: Factory, **options) -> PoseDetector:
    return PoseDetector(Path("model.task"), create=made, **options)


def test_landmarks_become_pixels_with_whole_numbers_at_pixel_centres():
    made = Factory([person(x=-0.5, y=1.5, visibility=0.5, presence=0.8)])
    (seen,) = detector(made).detect(0, BLACK)
    assert seen.xy_px[0].tolist() == [-32.0, 72.0]  # outside the image it stays where it was guessed
    assert seen.xy_px[1:].tolist() == [[32.0, 12.0]] * (JOINTS - 1)
    assert seen.confidence.tolist() == pytest.approx([0.4] + [1.0] * (JOINTS - 1))
    assert seen.score == pytest.approx((JOINTS - 0.6) / JOINTS)
    assert seen.box_px.tolist() == [-32.0, 12.0, 32.0, 72.0]
    assert seen.world.tolist() == [[1.0, 2.0, 3.0]] * JOINTS


def test_what_is_not_finite_is_missing():
    (seen,) = detector(Factory([person(x=np.nan)])).detect(0, BLACK)
    assert np.isnan(seen.xy_px[0]).all()
    assert np.isnan(seen.world[0]).all()
    assert seen.confidence[0] == 0.0
    assert seen.box_px.tolist() == [32.0, 12.0, 32.0, 12.0]
    nobody = [landmark(np.nan)] * JOINTS, [landmark()] * JOINTS
    assert detector(Factory([nobody])).detect(0, BLACK) == []


def test_mediapipe_gets_red_first():
    made = Factory()
    image = BLACK.copy()
    image[0, 0] = (1, 2, 3)
    detector(made).detect(0, image)
    assert made[0].pixels == [[3, 2, 1]]
    assert image[0, 0].tolist() == [1, 2, 3]


def test_times_are_milliseconds_that_increase_strictly():
    made = Factory()
    seeing = detector(made)
    start = 1_763_600_000_123_456_789
    for step in (0, 16_666_667, 33_333_333, 33_400_000, 33_500_000, 33_500_000, 50_000_000):
        seeing.detect(start + step, BLACK)
    assert made[0].times == [0, 16, 33, 34, 35, 36, 50]
    assert seeing.restarts == 0


def test_a_stamp_that_goes_back_starts_anew():
    made = Factory()
    seeing = detector(made)
    for stamp in (1_000 * MS, 2_000 * MS):
        seeing.detect(stamp, BLACK)
        assert seeing.restart_reason == ""
    seeing.detect(500 * MS, BLACK)
    assert (seeing.restarts, seeing.restart_reason) == (1, "time went back by 1.500 s")
    seeing.detect(540 * MS, BLACK)
    assert (seeing.restarts, seeing.restart_reason) == (1, "")
    assert [m.times for m in made] == [[0, 1000], [0, 40]]
    assert [m.closed for m in made] == [True, False]


def test_a_jump_ahead_starts_anew():
    made = Factory()
    seeing = detector(made, max_frame_gap=2.0)
    for stamp in (0, 2_000 * MS, 4_001 * MS):
        seeing.detect(stamp, BLACK)
    assert (seeing.restarts, seeing.restart_reason) == (1, "no image for 2.001 s")
    assert [m.times for m in made] == [[0, 2000], [0]]


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((0, 64, 3), np.uint8), "an image must have pixels, got 64 x 0"),
        (np.zeros((48, 0, 3), np.uint8), "an image must have pixels, got 0 x 48"),
        (np.zeros((48, 64), np.uint8), r"must be \(height, width, 3\) of uint8, got \(48, 64\) of uint8"),
        (np.zeros((48, 64, 4), np.uint8), r"got \(48, 64, 4\) of uint8"),
        (np.zeros((48, 64, 3), np.float32), r"got \(48, 64, 3\) of float32"),
    ],
)
def test_bad_images_are_refused_and_harm_nothing(image, sentence):
    made = Factory([person()])
    seeing = detector(made)
    with pytest.raises(BadImage, match=sentence):
        seeing.detect(0, image)
    assert made[0].times == []
    assert len(seeing.detect(1, BLACK)) == 1
    assert seeing.restarts == 0


def test_it_survives_a_failure_inside_mediapipe():
    made = Factory([person()])
    seeing = detector(made)
    made[0].error = RuntimeError("graph has errors:\nlong trace")
    with pytest.raises(BadImage, match="MediaPipe cannot use the image of 7 ns: graph has errors:$"):
        seeing.detect(7, BLACK)
    assert len(seeing.detect(8, BLACK)) == 1
    assert made[0].closed
    assert seeing.restarts == 1


def test_a_model_of_other_landmarks_is_refused():
    made = Factory([([landmark()] * 21, [landmark()] * 21)])
    with pytest.raises(BadImage, match="the model gives 21 landmarks, not the 33 of mediapipe33"):
        detector(made).detect(0, BLACK)


def test_inference_is_timed_alone():
    ticks = iter([10, 25])
    seeing = detector(Factory(), clock=lambda: next(ticks))
    seeing.detect(0, BLACK)
    assert seeing.inference == (10, 25)


def test_options_reach_mediapipe():
    made = Factory()
    detector(
        made,
        num_poses=3,
        min_detection_confidence=0.1,
        min_presence_confidence=0.2,
        min_tracking_confidence=0.3,
    )
    given = made.options[0]
    assert given.num_poses == 3
    assert given.min_pose_detection_confidence == 0.1
    assert given.min_pose_presence_confidence == 0.2
    assert given.min_tracking_confidence == 0.3
    assert given.base_options.model_asset_path == "model.task"
    assert given.base_options.delegate.name == "CPU"


class NoGpu(Factory):
    def __call__(self, options):
        if options.base_options.delegate.name == "GPU":
            raise RuntimeError("no EGL\ntrace")
        return super().__call__(options)


def test_a_gpu_that_is_not_there_is_an_error_unless_any_device_will_do():
    with pytest.raises(ValueError, match=r"cannot use a GPU here \(no EGL\); set it to cpu or auto"):
        detector(NoGpu(), delegate="gpu")
    assert detector(NoGpu(), delegate="auto").device == "cpu"
    assert detector(Factory(), delegate="auto").device == "gpu"
    assert detector(Factory(), delegate="gpu").device == "gpu"
    assert detector(Factory()).device == "cpu"


def test_models_by_name_and_by_path(tmp_path, monkeypatch):
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"run `pose fetch pose_landmarker_lite\.task`"):
        model_path("lite")
    (tmp_path / "pose_landmarker_lite.task").write_bytes(b"x")
    with pytest.raises(
        ValueError, match=r"SHA-256, so it is damaged; run `pose fetch pose_landmarker_lite\.task`"
    ):
        model_path("lite")
    lite = replace(assets.ASSETS["pose_landmarker_lite.task"], sha256=hashlib.sha256(b"x").hexdigest())
    monkeypatch.setitem(assets.ASSETS, lite.name, lite)
    assert model_path("lite") == tmp_path / "pose_landmarker_lite.task"
    assert model_path(str(tmp_path / "pose_landmarker_lite.task")) == tmp_path / "pose_landmarker_lite.task"
    with pytest.raises(
        ValueError, match=r"model must be one of lite, full, heavy or the path of a \.task file, got 'ful'"
    ):
        model_path("ful")
    with pytest.raises(ValueError, match=r"there is no model file nowhere\.task; check the path"):
        model_path("nowhere.task")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "broken.task"
    path.write_bytes(b"no model" * 100)
    with pytest.raises(ValueError, match=r"MediaPipe cannot use .*broken\.task: Unable to open zip archive"):
        PoseDetector(path)


@pytest.fixture(scope="module")
def demo() -> tuple[Path, list[np.ndarray]]:
    """The model and the first images of the demo video."""
    try:
        model, video = model_path("full"), assets.path("Demo_SinglePerson/videos/cam01.mp4")
    except (ValueError, assets.MissingAsset) as error:
        pytest.skip(str(error))
    frames = iter(open_source(Pose2DParams(source=str(video))))
    return model, [next(frames).bgr for _ in range(3)]


def test_the_real_model_sees_the_person_of_the_demo_video(demo):
    model, images = demo
    seeing = PoseDetector(model)
    results = [seeing.detect(i * 16_666_667, image) for i, image in enumerate(images)]
    seeing.close()
    assert [len(people) for people in results] == [1, 1, 1]
    seen = results[0][0]
    read_off_the_picture = {
        "right_wrist": (265, 730),
        "left_wrist": (555, 720),
        "left_knee": (450, 940),
        "right_ankle": (325, 1010),
        "left_ankle": (400, 1090),
    }
    for joint, place in read_off_the_picture.items():
        assert np.linalg.norm(seen.xy_px[MEDIAPIPE33.index(joint)] - place) < 40.0, joint
    assert seen.score > 0.8
    hips = seen.world[MEDIAPIPE33.indices("left_hip", "right_hip")]
    assert np.abs(hips.mean(0)).max() < 0.01
    assert 0.1 < np.linalg.norm(hips[0] - hips[1]) < 0.4
    assert seen.world[MEDIAPIPE33.index("nose"), 1] < -0.3  # y points down
    assert seeing.inference[1] > seeing.inference[0]


def test_the_real_model_sees_a_mirrored_person_mirrored(demo):
    model, images = demo
    width = images[0].shape[1]
    straight, mirrored = PoseDetector(model), PoseDetector(model)
    (seen,) = straight.detect(0, images[0])
    (other,) = mirrored.detect(0, np.ascontiguousarray(images[0][:, ::-1]))
    back = other.xy_px[MEDIAPIPE33.flip] * (-1, 1) + (width - 1, 0)
    assert np.median(np.linalg.norm(back - seen.xy_px, axis=1)) < 0.02 * np.ptp(seen.xy_px[:, 1])


def test_the_real_model_gives_the_same_bytes_again_and_after_a_restart(demo):
    model, images = demo

    def run(seeing: PoseDetector, origin: int) -> bytes:
        people = [seeing.detect(origin + i * 16_666_667, image) for i, image in enumerate(images)]
        return b"".join(p.xy_px.tobytes() + p.confidence.tobytes() + p.world.tobytes() for (p,) in people)

    seeing = PoseDetector(model)
    first = run(seeing, 10**18)
    assert run(seeing, 10**9) == first
    assert seeing.restarts == 1
    assert run(PoseDetector(model), 5) == first


def test_the_real_model_takes_tiny_images_and_ones_that_change_size(demo):
    model, images = demo
    seeing = PoseDetector(model)
    seeing.detect(0, images[0])
    assert seeing.detect(20 * MS, np.zeros((1, 1, 3), np.uint8)) == []
    small = cv2.resize(images[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert len(seeing.detect(40 * MS, small)) == 1
    assert seeing.restarts == 0
