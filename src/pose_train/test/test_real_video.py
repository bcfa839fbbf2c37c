"""Reconstruction from several views on a person whose every joint is known, and lifters whose errors are."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lift3d_node.lifter import Lifter, Shape
from lift3d_node.params import Lift3DParams
from pose2d_node.estimator import Pose2DEstimator
from pose2d_node.sources import Frame
from pose2d_node.testing import fake_estimator, figure, image_of
from pose_core import assets
from pose_core.geometry.calibration import CalibratedCamera
from pose_core.geometry.camera import Camera
from pose_core.people import JointState, People2D, People3D
from pose_core.skeleton import MEDIAPIPE33
from pose_train.data.landmarks import REFERENCE_HEIGHT, Landmarks
from pose_train.studies import real_video
from pose_train.studies.real_video import PART_OF, RealVideo, Reference, Sightings
from pose_train.testing import motion

FRAMES = 24
K = np.array([[1100.0, 0.0, 540.0], [0.0, 1100.0, 960.0], [0.0, 0.0, 1.0]])
CAMERA = Camera(1080, 1920, K, np.array([-0.05, 0.1, 1e-3, -5e-4, 0.0]))


def looking(azimuth_deg: float) -> CalibratedCamera:
    """A camera 4 m away at chest height, looking at the person (y up)."""
    angle = np.radians(azimuth_deg)
    position = np.array([4.0 * np.sin(angle), 1.6, 4.0 * np.cos(angle)])
    z = np.array([0.0, 0.9, 0.0]) - position
    z /= np.linalg.norm(z)
    x = np.cross(z, (0.0, 1.0, 0.0))
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    return CalibratedCamera(f"at{azimuth_deg:g}", CAMERA, R, -R @ position)


CAMERAS = tuple(looking(azimuth) for azimuth in (20.0, 75.0, 160.0, 250.0))


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    """(T, 33, 3) metres, y up; swings its limbs and walks."""
    captured = motion("a", "01", 2 * FRAMES, 3)
    rotations = Rotation.from_quat(captured.quaternions[..., [1, 2, 3, 0]].reshape(-1, 4)).as_matrix()
    size = np.full(len(captured.xyz), 1.7 / REFERENCE_HEIGHT)
    xyz = Landmarks("mediapipe33").of(captured.xyz, rotations.reshape(-1, 7, 3, 3), size)[::2].astype(float)
    # A wave of the arms, so that nothing is rigid.
    wave = 0.15 * np.sin(2.0 * np.pi * np.arange(FRAMES) / 24.0)
    for joint in ("left_wrist", "left_index", "left_pinky", "left_thumb", "right_ankle", "right_heel"):
        xyz[:, MEDIAPIPE33.index(joint), 1] += wave
    return xyz


@pytest.fixture(scope="module")
def seen(person: np.ndarray) -> np.ndarray:
    """(4, T, 33, 2) pixels."""
    return np.stack([one.camera.project(one.to_camera(person)) for one in CAMERAS])


def test_points_are_exact_from_true_views(person: np.ndarray, seen: np.ndarray) -> None:
    points, used = real_video.robust_points(CAMERAS, seen, 20.0)
    np.testing.assert_allclose(points, person, atol=1e-8)
    assert used.all()


def test_a_view_that_disagrees_takes_no_part(person: np.ndarray, seen: np.ndarray) -> None:
    wrong = seen.copy()
    wrong[1, :, 5:9] += (60.0, -45.0)
    wrong[3, 4, 20] = np.nan
    points, used = real_video.robust_points(CAMERAS, wrong, 20.0)
    np.testing.assert_allclose(points, person, atol=1e-8)
    expected = np.ones(used.shape, bool)
    expected[1, :, 5:9] = False
    expected[3, 4, 20] = False
    np.testing.assert_array_equal(used, expected)


def test_two_views_are_not_believed(seen: np.ndarray) -> None:
    wrong = seen.copy()
    wrong[0, 2, 3] += (90.0, 0.0)
    wrong[1, 2, 3] -= (0.0, 90.0)
    wrong[:2, 5, 7] = np.nan
    points, used = real_video.robust_points(CAMERAS, wrong, 20.0)
    assert np.argwhere(np.isnan(points[..., 0])).tolist() == [[2, 3], [5, 7]]
    assert not used[:, 2, 3].any()
    assert not used[:, 5, 7].any()


def test_planted_swaps_are_found_and_undone(seen: np.ndarray) -> None:
    random = np.random.default_rng(0)
    noisy = seen + random.normal(0.0, 2.0, seen.shape)
    swapped = noisy.copy()
    planted = np.zeros((4, FRAMES, 3), bool)
    for view, frames, parts in (
        (1, slice(3, 9), (0, 1, 2)),
        (2, slice(12, 15), (2,)),
        (0, slice(18, 20), (1,)),
    ):
        for part in parts:
            planted[view, frames, part] = True
            rows = np.flatnonzero(PART_OF == part)
            swapped[view, frames, rows[:, None]] = noisy[view, frames, MEDIAPIPE33.flip[rows][:, None]]
    mended, found = real_video.unswapped(CAMERAS, swapped)
    # A head is small: sides that nearly coincide in a view need not be told apart there.
    np.testing.assert_array_equal(found[..., 1:], planted[..., 1:])
    assert not (found & ~planted).any()
    body = PART_OF != 0
    np.testing.assert_array_equal(mended[:, :, body], noisy[:, :, body])


def turned(
    cameras: tuple[CalibratedCamera, ...], angles_deg: list[tuple[float, float]]
) -> list[CalibratedCamera]:
    result = []
    for one, (x, y) in zip(cameras, angles_deg, strict=True):
        R = Rotation.from_rotvec(np.radians([x, y, 0.0])).as_matrix() @ one.R_cam_world
        result.append(replace(one, R_cam_world=R, t=-R @ one.position))
    return result


def test_cameras_that_look_elsewhere_are_turned_back(person: np.ndarray, seen: np.ndarray) -> None:
    believed = turned(CAMERAS, [(0.5, -0.4), (-0.6, 0.3), (0.2, 0.7), (-0.3, -0.5)])
    before = real_video.reconstruct(believed, seen, (0, 0, 0, 0), align=False)
    after = real_video.reconstruct(believed, seen, (0, 0, 0, 0))
    assert np.nanmedian(before.error_px()) > 4.0
    assert np.nanmedian(after.error_px()) < 0.8
    shape, truth = (xyz - MEDIAPIPE33.root_of(xyz)[:, None] for xyz in (after.xyz, person))
    assert np.nanmax(np.linalg.norm(shape - truth, axis=-1)[2:-2]) < 0.02


def test_time_is_shifted_and_ends_are_missing() -> None:
    frames = np.arange(6.0).reshape(1, 6, 1).repeat(3, 0)
    common = real_video.in_common_time(frames, (0, 2, -1))[..., 0]
    np.testing.assert_array_equal(common[0], [0, 1, 2, 3, 4, 5])
    np.testing.assert_array_equal(common[1], [2, 3, 4, 5, np.nan, np.nan])
    np.testing.assert_array_equal(common[2], [np.nan, 0, 1, 2, 3, 4])


def test_a_late_camera_is_found(seen: np.ndarray) -> None:
    late = seen[:, :-2].copy()
    late[2] = real_video.in_common_time(seen[2:3], (-2,))[0, :-2]
    errors = real_video.find_lag(CAMERAS, late, 3, range(4), align=False)
    assert min(errors, key=lambda lag: errors[lag]) == 2
    assert errors[2] < 0.1
    assert errors[0] > 1.0


def test_smoothing_keeps_what_is_slow_and_gaps() -> None:
    time = np.arange(120) / 60.0
    slow = np.sin(2.0 * np.pi * 1.0 * time)
    xyz = np.zeros((120, 2, 3))
    xyz[:, 0, 0] = slow + 0.1 * (-1.0) ** np.arange(120)
    xyz[:, 0, 1] = 2.5
    xyz[50:53, 0] = np.nan
    xyz[:, 1] = np.nan
    smooth = real_video.smoothed(xyz, 60.0)
    assert np.isnan(smooth[50:53, 0]).all()
    assert np.isnan(smooth[:, 1]).all()
    rest = np.r_[10:45, 58:110]
    np.testing.assert_allclose(smooth[rest, 0, 0], slow[rest], atol=0.01)
    np.testing.assert_allclose(smooth[rest, 0, 1], 2.5)


STEP_NS = 1_000_000_000 // 60


class Known(Lifter):
    """Gives the pose of the frame that a stamp names, as `make` changes it, in units of half a metre."""

    skeleton_in = "mediapipe33"
    skeleton_out = "mediapipe33"

    def __init__(self, poses: np.ndarray, height: float) -> None:
        super().__init__(Lift3DParams())
        self._poses, self._height = poses, height
        self.stamps: list[int] = []

    def lift(self, people: People2D, camera: Camera, world: People3D | None) -> list[Shape]:
        self.stamps.append(people.stamp)
        shapes = []
        for person in people.people:
            assert person.id == "p1"
            xyz = self._poses[people.stamp // STEP_NS]
            missing = np.isnan(xyz).any(1)
            shapes.append(
                Shape(
                    2.0 * xyz,
                    np.where(missing, np.nan, 0.1),
                    (~missing).astype(float),
                    np.where(missing, JointState.MISSING, JointState.LIFTED).astype(np.uint8),
                    2.0 * self._height,
                )
            )
        return shapes


def sightings(xy_px: np.ndarray, lag: int, step: int) -> Sightings:
    """Of a camera that is `lag` frames late: its frame t shows frame t - lag; nobody before."""
    frames = np.arange(0, len(xy_px), step)
    seen = real_video.in_common_time(xy_px[None], (-lag,))[0][frames]
    nobody = np.isnan(seen).any((1, 2))
    count = len(frames)
    box = np.tile([0.0, 0.0, 100.0, 200.0], (count, 1))
    return Sightings(
        1080,
        1920,
        frames * STEP_NS,
        np.where(nobody, "", "p1"),
        np.ones(count),
        box,
        seen,
        np.where(nobody[:, None], 0.0, np.ones((count, 33))),
        np.zeros((count, 33, 3)),
    )


@pytest.fixture(scope="module")
def video(person: np.ndarray, seen: np.ndarray) -> RealVideo:
    """Four cameras, the third of them two frames late."""
    lags = (0, 0, 2, 0)
    used = np.ones(seen.shape[:-1], bool)
    reference = Reference(CAMERAS, lags, person, seen, used, np.zeros((4, FRAMES, 3), bool))
    return RealVideo(
        reference,
        {step: tuple(sightings(seen[view], lags[view], step) for view in range(4)) for step in (1, 2)},
    )


def test_the_person_in_view_is_a_shape(video: RealVideo, person: np.ndarray) -> None:
    view = video.reference.in_view(2)
    np.testing.assert_allclose(MEDIAPIPE33.root_of(view), 0.0, atol=1e-12)
    lengths = MEDIAPIPE33.bone_lengths(view)
    np.testing.assert_allclose(lengths, MEDIAPIPE33.bone_lengths(person))
    # What lies on the ray to the root lies on z.
    root = MEDIAPIPE33.root_of(person)
    nearer = person.copy()
    nearer[:, 0] = root + 0.25 * (CAMERAS[1].position - root)
    moved = replace(video.reference, xyz=nearer).in_view(2)[:, 0]
    np.testing.assert_allclose(moved[:, :2], 0.0, atol=1e-9)
    assert (moved[:, 2] < -0.5).all()


@pytest.mark.parametrize("camera", [1, 3])
@pytest.mark.parametrize("step", [1, 2])
def test_a_lifter_that_tells_the_truth_has_no_error(video: RealVideo, camera: int, step: int) -> None:
    # Frame t of a camera that is late shows the person of frame t - lag.
    lag = video.reference.lags[camera - 1]
    poses = np.roll(video.reference.in_view(camera), lag, 0)
    lifter = Known(poses, video.reference.height)
    found = real_video.evaluate_view(lifter, video, camera, step)
    assert found.mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert found.limb_mean_deg == pytest.approx(0.0, abs=1e-5)
    assert found.acceleration == pytest.approx(0.0, abs=1e-6)
    assert (found.z_sign, found.found, found.coverage) == (1.0, 1.0, 1.0)
    assert lifter.stamps == [t * STEP_NS for t in range(0, FRAMES, step)]


def test_a_lifter_is_told_what_points_up_only_where_that_is_known(video: RealVideo) -> None:
    lifter = Known(video.reference.in_view(1), video.reference.height)
    camera = video.reference.cameras[0]
    for known in (True, False):
        real_video.evaluate_view(lifter, video, 1, tilt_known=known)
        if known:
            # The calibration's world has z up.
            np.testing.assert_array_equal(lifter.up, camera.R_cam_world @ [0.0, 0.0, 1.0])
        else:
            assert lifter.up is None


def test_a_lifter_that_mirrors_depth_has_every_sign_wrong(video: RealVideo) -> None:
    poses = video.reference.in_view(1) * (1.0, 1.0, -1.0)
    found = real_video.evaluate_view(Known(poses, video.reference.height), video, 1)
    assert found.z_sign == 0.0
    assert found.pa_mpjpe_mm > 10.0


def test_a_lifter_that_ignores_the_lag_is_wrong(video: RealVideo) -> None:
    lifter = Known(video.reference.in_view(3), video.reference.height)
    assert real_video.evaluate_view(lifter, video, 3).mpjpe_mm > 5.0


def test_lifters_of_other_skeletons_are_judged_by_the_joints_they_share(video: RealVideo) -> None:
    truth = video.reference.in_view(1)

    class Coco(Known):
        skeleton_in = "coco17"
        skeleton_out = "h36m17"

        def lift(self, people: People2D, camera: Camera, world: People3D | None) -> list[Shape]:
            assert people.skeleton == "coco17"
            assert people.people[0].xy_px.shape == (17, 2)
            return super().lift(people, camera, world)

    from pose_core.conversion import conversion

    poses, _ = conversion("mediapipe33", "h36m17").apply(truth, np.ones(truth.shape[:-1]))
    found = real_video.evaluate_view(Coco(poses, video.reference.height), video, 1)
    assert found.mpjpe_mm == pytest.approx(0.0, abs=1e-6)
    assert found.found == 1.0


def test_swaps_are_repaired_as_on_a_robot(seen: np.ndarray) -> None:
    one = sightings(seen[0], 0, 1)
    swapped = one.xy_px.copy()
    late = slice(18, 22)
    swapped[late] = swapped[late][:, MEDIAPIPE33.flip]
    repaired = replace(one, xy_px=swapped).repaired()
    np.testing.assert_array_equal(repaired.xy_px, one.xy_px)
    np.testing.assert_array_equal(one.repaired().xy_px, one.xy_px)


def test_sightings_hold_who_was_seen_in_every_chosen_image(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes = fake_estimator([figure(30.0)])
    monkeypatch.setattr(Pose2DEstimator, "from_params", lambda _params: eyes)
    frames = [Frame(index * STEP_NS, image_of(index), 0, 0) for index in range(5)]
    monkeypatch.setattr(real_video, "open_source", lambda _params: iter(frames))
    found = real_video.see(Path("film.mp4"), 2)
    assert found.stamp.tolist() == [0, 2 * STEP_NS, 4 * STEP_NS]
    assert found.id.tolist() == ["p1"] * 3
    np.testing.assert_array_equal(found.xy_px[1], figure(30.0).xy_px)
    assert (found.width, found.height) == (64, 48)
    eyes.detector.seen = []  # type: ignore[attr-defined]
    empty = real_video.see(Path("film.mp4"))
    assert empty.id.tolist() == [""] * 5
    assert np.isnan(empty.xy_px).all()
    monkeypatch.setattr(real_video, "open_source", lambda _params: iter([]))
    with pytest.raises(ValueError, match="has no image"):
        real_video.see(Path("film.mp4"))


def test_sightings_are_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, video: RealVideo) -> None:
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(assets, "path", lambda name: tmp_path / name)
    calls: list[Path] = []

    def see(film: Path, step: int) -> Sightings:
        calls.append(film)
        return video.sightings[step][len(calls) - 1]

    monkeypatch.setattr(real_video, "see", functools.wraps(real_video.see)(see))
    first = real_video._sightings(1)
    again = real_video._sightings(1)
    assert [film.name for film in calls] == [f"cam0{i}.mp4" for i in (1, 2, 3, 4)]
    assert [file.name for file in tmp_path.iterdir()] == [real_video.cached_file(1).name]
    assert real_video.cached_file(2) != real_video.cached_file(1)
    for one, other, true in zip(first, again, video.sightings[1], strict=True):
        for name in ("stamp", "id", "xy_px", "confidence", "world"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
            np.testing.assert_array_equal(getattr(one, name), getattr(true, name))
        assert (one.width, one.height) == (1080, 1920)


@pytest.mark.skipif(
    not real_video.cached_file(1).is_file(),
    reason="the real video was not looked at yet; pose evaluate lifters does",
)
def test_the_reference_of_the_real_video_is_sound() -> None:
    reference = real_video.load(1).reference
    known = np.isfinite(reference.xyz).all(-1)
    assert known.mean() > 0.95
    assert reference.height == pytest.approx(1.65, abs=0.02)
    errors = reference.error_px()
    for view in range(4):
        assert np.nanmedian(errors[view]) < 10.0
        assert np.nanpercentile(errors[view][reference.used[view]], 95) < 20.0
    # MediaPipe takes the front for the back in camera 2 alone.
    assert not reference.swapped[[0, 2, 3]].any()
    assert 15 <= reference.swapped[1].any(-1).sum() <= 40
    baseline = real_video.evaluate_view(
        "mediapipe_world", RealVideo(reference, {1: real_video._sightings(1)}), 1
    )
    assert 10.0 < baseline.limb_mean_deg < 18.0
    assert 75.0 < baseline.pa_mpjpe_mm < 100.0
