from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.geometry.camera import Camera

K = np.array([[800.0, 0.0, 640.5], [0.0, 820.0, 350.25], [0.0, 0.0, 1.0]])
LENSES = {
    "ideal": ("plumb_bob", []),
    "phone": ("plumb_bob", [-0.046, 0.14, 0.0006, 0.0007]),
    "barrel": ("plumb_bob", [-0.3, 0.1, 0.001, -0.002, -0.01]),
    "pincushion": ("plumb_bob", [0.2, 0.05, 0.0, 0.0, 0.0]),
    "tangential": ("plumb_bob", [0.0, 0.0, 0.01, -0.02, 0.0]),
    "rational": ("rational_polynomial", [0.5, 0.1, 0.001, -0.001, 0.01, 0.6, 0.2, 0.02]),
    "fisheye": ("equidistant", [0.01, -0.002, 0.001, -0.0003]),
    "fisheye_ideal": ("equidistant", []),
}
lens = pytest.mark.parametrize("name", LENSES)


def camera(name: str) -> Camera:
    model, distortion = LENSES[name]
    return Camera(1280, 720, K, np.array(distortion, float), model)


def points(count: int = 200, seed: int = 0, slope: float = 0.8) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.5, 8.0, count)
    return np.stack([*(rng.uniform(-slope, slope, (2, count)) * z), z], axis=-1)


def test_a_point_lands_where_pencil_and_paper_put_it():
    ideal = Camera(1280, 720, K)
    np.testing.assert_allclose(
        ideal.project(np.array([[0.5, -0.25, 2.0], [0.0, 0.0, 1.0]])),
        [[640.5 + 800 * 0.25, 350.25 - 820 * 0.125], [640.5, 350.25]],
    )
    # r^2 = 0.25^2 = 0.0625: radial 1 + 0.1 * 0.0625 + 0.2 * 0.0625^2, tangential 2 p1 x y = 0, p2 (r^2 + 2 x^2)
    bent = Camera(1280, 720, K, np.array([0.1, 0.2, 0.0, 0.01, 0.0]))
    x = 0.25 * (1.0 + 0.00625 + 0.00078125) + 0.01 * 3 * 0.0625
    np.testing.assert_allclose(bent.project(np.array([0.5, 0.0, 2.0])), [640.5 + 800 * x, 350.25])


def test_metres_and_millimetres_project_alike_but_the_principal_axis_does_not_move():
    xyz = points()
    np.testing.assert_allclose(camera("phone").project(1000 * xyz), camera("phone").project(xyz))


@lens
def test_projection_is_that_of_opencv(name):
    model, distortion = LENSES[name]
    xyz, zero = points(), np.zeros(3)
    if model == "equidistant":
        k = np.array(distortion or [0.0] * 4)
        expected = cv2.fisheye.projectPoints(xyz[:, None], zero, zero, K, k)[0]
    else:
        expected = cv2.projectPoints(xyz, zero, zero, K, np.array(distortion) if distortion else None)[0]
    np.testing.assert_allclose(camera(name).project(xyz), expected[:, 0], rtol=0, atol=1e-9)


@lens
def test_undistortion_is_that_of_opencv(name):
    model, distortion = LENSES[name]
    px = camera(name).project(points(slope=0.5))
    if model == "equidistant":
        k = np.array(distortion or [0.0] * 4)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-14)
        expected = cv2.fisheye.undistortPoints(px[:, None], K, k, criteria=criteria)
    else:
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 500, 1e-14)
        d = np.array(distortion) if distortion else np.zeros(5)
        expected = cv2.undistortPointsIter(px[:, None], K, d, None, None, criteria)
    np.testing.assert_allclose(camera(name).undistort(px), expected[:, 0], rtol=0, atol=1e-8)


@lens
@settings(max_examples=50, deadline=None)
@given(st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.floats(0.1, 50.0))
def test_undistort_inverts_distort_and_ray_inverts_project(name, x, y, z):
    one = camera(name)
    normalised = np.array([x, y])
    np.testing.assert_allclose(one.undistort(one.distort(normalised)), normalised, rtol=0, atol=1e-9)
    xyz = np.array([x, y, 1.0]) * z
    ray = one.ray(one.project(xyz))
    assert np.linalg.norm(ray) == pytest.approx(1.0)
    np.testing.assert_allclose(ray * np.linalg.norm(xyz), xyz, rtol=0, atol=1e-8 * z)


@lens
def test_distort_inverts_undistort_over_the_whole_image(name):
    one = camera(name)
    px = np.stack(np.meshgrid(np.linspace(0, 1279, 40), np.linspace(0, 719, 30)), axis=-1)
    normalised = one.undistort(px)
    assert normalised.shape == (30, 40, 2)
    assert np.isfinite(normalised).all()
    np.testing.assert_allclose(one.distort(normalised), px, rtol=0, atol=1e-6)


@lens
def test_the_jacobian_is_the_slope_of_project(name):
    one, xyz, step = camera(name), points(50), 1e-6
    xyz[0, :2] = 0.0
    numeric = [(one.project(xyz + step * e) - one.project(xyz - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(one.jacobian(xyz), np.stack(numeric, axis=-1), rtol=1e-6, atol=1e-4)


@lens
def test_what_lies_behind_or_is_missing_is_nan_and_harms_no_neighbour(name):
    xyz = np.array([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [np.nan, 0.1, 1.0], [0.1, 0.2, 2.0]])
    one = camera(name)
    px = one.project(xyz)
    np.testing.assert_array_equal(np.isnan(px).any(-1), [True, True, True, False])
    np.testing.assert_array_equal(px[3], one.project(xyz[3]))
    np.testing.assert_array_equal(np.isnan(one.jacobian(xyz)).any((-1, -2)), [True, True, True, False])
    back = one.undistort(px)
    np.testing.assert_array_equal(np.isnan(back).any(-1), [True, True, True, False])
    np.testing.assert_allclose(back[3], [0.05, 0.1], rtol=0, atol=1e-9)


@lens
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (1, 0, 4)])
def test_any_batch_keeps_its_shape(name, shape):
    one = camera(name)
    xyz = np.broadcast_to(np.array([0.1, 0.2, 2.0]), (*shape, 3))
    assert one.project(xyz).shape == (*shape, 2)
    assert one.undistort(one.project(xyz)).shape == (*shape, 2)
    assert one.ray(one.project(xyz)).shape == (*shape, 3)
    assert one.jacobian(xyz).shape == (*shape, 2, 3)


def test_strided_and_single_precision_input():
    one, xyz = camera("phone"), points(10)
    np.testing.assert_array_equal(one.project(xyz[::2]), one.project(xyz)[::2])
    np.testing.assert_allclose(one.project(xyz.astype(np.float32)), one.project(xyz), rtol=0, atol=1e-3)
    px = np.asfortranarray(one.project(xyz))
    np.testing.assert_array_equal(one.undistort(px), one.undistort(np.ascontiguousarray(px)))


def test_beyond_the_field_of_the_polynomial_there_is_no_answer():
    # r (1 - 0.3 r^2) grows up to r^2 = 1 / 0.9, where it is 0.70273; no ray meets a pixel beyond.
    one = Camera(1280, 720, K, np.array([-0.3, 0.0, 0.0, 0.0, 0.0]))
    edge = np.sqrt(1 / 0.9) * (1 - 0.3 / 0.9)
    px = np.array([640.5, 350.25]) + np.array([[800 * 0.999 * edge, 0.0], [800 * 1.001 * edge, 0.0]])
    normalised = one.undistort(px)
    assert normalised[0, 0] < np.sqrt(1 / 0.9)
    np.testing.assert_allclose(one.distort(normalised[0]), px[0], rtol=0, atol=1e-6)
    assert np.isnan(normalised[1]).all()


def test_a_second_branch_of_the_polynomial_is_not_taken():
    # Falls from r = 0.84 to r = 1.55 and then rises for ever: every pixel has a root, few have one that a lens makes.
    one = Camera(1280, 720, K, np.array([-0.62, 0.12, 0.0, 0.0, 0.0]))
    radii = np.linspace(0.0, 2.0, 400)
    image = one.distort(np.stack([radii, 0 * radii], axis=-1))[:, 0]
    rising = radii[: int(np.argmax(np.diff(image) < 0))]
    found = one.undistort(np.stack([image, np.full(400, 350.25)], axis=-1))[:, 0]
    good = np.isfinite(found)
    assert found[good].max() <= rising.max() + 0.01
    np.testing.assert_allclose(found[: len(rising) - 3], radii[: len(rising) - 3], rtol=0, atol=1e-7)
    assert not good[image > image[: len(rising)].max() + 1.0].any()


def test_a_fisheye_sees_no_farther_than_sideways():
    one = camera("fisheye_ideal")
    px = np.array([640.5, 350.25]) + np.array([[800 * np.radians(89.0), 0.0], [800 * np.radians(91.0), 0.0]])
    normalised = one.undistort(px)
    np.testing.assert_allclose(np.degrees(np.arctan(normalised[0, 0])), 89.0)
    assert np.isnan(normalised[1]).all()


def test_the_field_of_view_is_across_the_longer_side():
    for width, height in ((1920, 1080), (1080, 1920)):
        one = Camera.from_field_of_view(width, height, 90.0)
        np.testing.assert_allclose(one.matrix[0, 0], 960.0)
        np.testing.assert_allclose(one.matrix[:2, 2], [(width - 1) / 2, (height - 1) / 2])
        assert one.field_of_view_deg == pytest.approx(90.0)
        assert one.source == "field_of_view"
        # The outer edges of the outermost pixels of the longer side are 45 degrees off the axis.
        edge = [-0.5, one.matrix[1, 2]] if width > height else [one.matrix[0, 2], -0.5]
        assert one.ray(np.array(edge))[2] == pytest.approx(np.sqrt(0.5))


@pytest.mark.parametrize("angle", [0.0, 180.0, -10.0, float("nan")])
def test_an_impossible_field_of_view_is_refused(angle):
    with pytest.raises(ValueError, match="between 0 and 180 degrees"):
        Camera.from_field_of_view(640, 480, angle)


@lens
def test_resizing_cropping_and_projecting_commute(name):
    one, xyz = camera(name), points(20)
    px = one.project(xyz)
    np.testing.assert_allclose(one.scaled(640, 360).project(xyz), (px + 0.5) / 2 - 0.5)
    np.testing.assert_allclose(one.cropped(100, -20, 300, 400).project(xyz), px - [100.0, -20.0])
    back = one.scaled(640, 360).scaled(1280, 720)
    np.testing.assert_allclose(back.matrix, one.matrix)
    assert (back.width, back.height, back.model) == (1280, 720, one.model)


def test_scaling_is_that_of_an_image_resize():
    image = np.zeros((40, 60), np.float32)
    image[10:14, 20:28] = 1.0
    rows, columns = np.nonzero(cv2.resize(image, (30, 20), interpolation=cv2.INTER_AREA) > 0.5)
    one = Camera(60, 40, np.array([[1.0, 0.0, 23.5], [0.0, 1.0, 11.5], [0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(one.scaled(30, 20).matrix[:2, 2], [columns.mean(), rows.mean()])


def test_a_letterboxed_image_is_scaled_evenly_and_padded():
    # 1088 x 1920 fitted into 1080 x 1920 is 1080 x 1906 between bars of 7 rows.
    one = Camera(1088, 1920, np.array([[1681.0, 0.0, 533.0], [0.0, 1681.0, 948.0], [0.0, 0.0, 1.0]]))
    boxed = one.letterboxed(1080, 1920)
    assert (boxed.width, boxed.height) == (1080, 1920)
    np.testing.assert_allclose(boxed.matrix[0, 2], (533.0 + 0.5) * 1080 / 1088 - 0.5)
    np.testing.assert_allclose(boxed.matrix[1, 2], (948.0 + 0.5) * 1906 / 1920 - 0.5 + 7.0)
    np.testing.assert_allclose(boxed.matrix[0, 0], 1681.0 * 1080 / 1088)
    assert one.letterboxed(544, 960) == one.scaled(544, 960)


def test_cameras_are_equal_by_value_and_cannot_be_changed():
    assert camera("phone") == camera("phone")
    assert camera("phone") != camera("barrel")
    assert camera("phone") != replace(camera("phone"), source="other")
    assert camera("phone") != 3
    with pytest.raises(ValueError, match="read-only"):
        camera("phone").matrix[0, 0] = 1.0
    mine = K.copy()
    one = Camera(1280, 720, mine)
    mine[0, 0] = 1.0
    assert one.matrix[0, 0] == 800.0


def test_a_rational_model_may_have_fewer_coefficients():
    short = Camera(1280, 720, K, np.array([0.1, 0.02, 0.0, 0.001]), "rational_polynomial")
    long = Camera(1280, 720, K, np.array([0.1, 0.02, 0.0, 0.001, 0.0, 0.0, 0.0, 0.0]), "rational_polynomial")
    assert short == long
    assert short.distortion.shape == (8,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width must be a positive number of pixels, got 0"),
        ({"height": -5}, "height must be a positive"),
        ({"matrix": np.zeros((3, 3))}, "focal lengths must be positive"),
        ({"matrix": K * [[-1], [1], [1]]}, "focal lengths must be positive"),
        ({"matrix": K * [[np.nan], [1], [1]]}, "must be finite"),
        ({"matrix": np.eye(4)}, r"shape \(3, 3\), got \(4, 4\)"),
        ({"matrix": K.T}, r"must be \[\[fx, skew, cx\]"),
        ({"matrix": 2 * K}, r"must be \[\[fx, skew, cx\]"),
        ({"distortion": np.array([0.1, 0.2, 0.3])}, "'plumb_bob' takes 4 or 5 coefficients, got 3"),
        ({"distortion": np.full(8, 0.1)}, "takes 4 or 5 coefficients, got 8"),
        ({"distortion": np.array([0.1, np.inf, 0.0, 0.0])}, "distortion must be finite"),
        ({"model": "plumb-bob"}, r"unknown distortion model 'plumb-bob'; did you mean 'plumb_bob'\?"),
        (
            {"model": "equidistant", "distortion": np.full(5, 0.1)},
            "'equidistant' takes 4 coefficients, got 5",
        ),
    ],
)
def test_what_cannot_be_a_camera_is_refused(change, message, without_checks):
    with pytest.raises(ValueError, match=message):
        replace(camera("phone"), **change)


def test_swapped_axes_or_a_shifted_centre_would_be_seen():
    one, xyz = camera("phone"), points()
    px = one.project(xyz)
    assert np.abs(replace(one, matrix=K[[1, 0, 2]][:, [1, 0, 2]]).project(xyz) - px).max() > 10.0
    assert np.abs(one.cropped(1, 0, 1280, 720).project(xyz) - px).max() > 0.99
    assert np.abs(camera("ideal").project(xyz) - px).max() > 1.0
