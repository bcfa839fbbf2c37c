from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from pose_core import assets
from pose_core.geometry.calibration import (
    CalibratedCamera,
    read_camera,
    read_qualisys,
    triangulate,
    write_camera_yaml,
)
from pose_core.geometry.camera import Camera

K = np.array([[800.5, 0.0, 640.25], [0.0, 820.0, 350.0], [0.0, 0.0, 1.0]])
CAMERA = Camera(1280, 720, K, np.array([-0.05, 0.1, 0.001, -0.002, 0.01]), source="calibration_file")
ROS_FILE = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [438.78, 0., 305.59, 0., 437.35, 243.74, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.6538, 0., 322.7978, 0., 0., 393.6538, 241.0909, 0., 0., 0., 1., 0.]
"""


def qualisys_file(cameras: list[CalibratedCamera], left: int = 0, top: int = 0) -> str:
    """What Qualisys would write: 1/64 pixels, millimetres, and a camera that looks along -z with y up."""
    parts = []
    for one in cameras:
        camera, k = one.camera, one.camera.distortion
        R = np.diag([1.0, -1.0, -1.0]) @ one.R_cam_world
        r = " ".join(f'r{i + 1}{j + 1}="{float(R[i, j])!r}"' for i in range(3) for j in range(3))
        x, y, z = (1000.0 * one.position).tolist()
        right, bottom = left + camera.width - 1, top + camera.height - 1
        f, c = 64 * camera.matrix[[0, 1], [0, 1]], 64 * (camera.matrix[:2, 2] + [left, top])
        parts.append(f'''<camera serial="{one.name}" model="none">
          <fov_video left="{left}" top="{top}" right="{right}" bottom="{bottom}"/>
          <transform {r} x="{x!r}" y="{y!r}" z="{z!r}"/>
          <intrinsic focalLengthU="{f[0]}" focalLengthV="{f[1]}" centerPointU="{c[0]}" centerPointV="{c[1]}"
           skew="0" radialDistortion1="{k[0]}" radialDistortion2="{k[1]}" radialDistortion3="{k[4]}"
           tangentalDistortion1="{k[2]}" tangentalDistortion2="{k[3]}"/></camera>''')
    return f'<?xml version="1.0" encoding="ASCII"?><calibration><cameras>{"".join(parts)}</cameras></calibration>'


def studio() -> list[CalibratedCamera]:
    """Four cameras at the corners of a room, 1.5 m high, that look at a point 1 m above the origin."""
    cameras = []
    for i, azimuth in enumerate((0.3, 1.9, 3.3, 5.0)):
        position = np.array([3.0 * np.cos(azimuth), 3.0 * np.sin(azimuth), 1.5])
        forward = np.array([0.0, 0.0, 1.0]) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        R_cam_world = np.stack([right, np.cross(forward, right), forward])
        cameras.append(CalibratedCamera(f"cam{i + 1}", CAMERA, R_cam_world, -R_cam_world @ position))
    return cameras


def points(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-0.4, -0.4, 0.2], [0.4, 0.4, 1.8], (33, 3))


def views(cameras: list[CalibratedCamera], xyz: np.ndarray) -> np.ndarray:
    return np.stack([one.camera.project(one.to_camera(xyz)) for one in cameras])


def test_a_camera_info_file_as_ros_documents_it(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(ROS_FILE)
    camera = read_camera(path)
    assert (camera.width, camera.height, camera.model, camera.source) == (
        640,
        480,
        "plumb_bob",
        "calibration_file",
    )
    np.testing.assert_array_equal(camera.matrix, [[438.78, 0, 305.59], [0, 437.35, 243.74], [0, 0, 1]])
    np.testing.assert_array_equal(camera.distortion, [-0.361976, 0.11051, 0.001014, 0.000505, 0.0])


def test_numbers_as_a_cpp_program_writes_them(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(ROS_FILE.replace("0.001014", "1e-05").replace("305.59", "3.0559e+02"))
    assert read_camera(path).distortion[2] == 1e-5
    assert read_camera(path).matrix[0, 2] == 305.59


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("plumb_bob", [-0.05, 1e-05, 2.5e-07, -0.002, 1 / 3]),
        ("rational_polynomial", [0.1] * 8),
        ("equidistant", [0.1] * 4),
    ],
)
def test_reading_gives_back_what_was_written_to_the_last_bit(tmp_path, model, distortion):
    camera = Camera(1280, 720, K / [[3], [3], [1]], np.array(distortion), model, "calibration_file")
    write_camera_yaml(tmp_path / "one.yaml", camera, "left-eye_2")
    assert read_camera(tmp_path / "one.yaml") == camera
    written = yaml.safe_load((tmp_path / "one.yaml").read_text())
    assert written["camera_name"] == "left-eye_2"
    assert written["distortion_coefficients"]["data"] == camera.distortion.tolist()
    assert written["projection_matrix"]["data"][:3] == camera.matrix[0].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["one.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (ROS_FILE, "", "holds no names with values"),
        (ROS_FILE, "- 1\n- 2\n", "holds no names with values"),
        (ROS_FILE, "a: [1\n", "not valid YAML"),
        ("image_width: 640\n", "", "image_width must be given as int, got None"),
        ("640", "wide", "image_width must be given as int, got 'wide'"),
        ("640", "0", "width must be a positive"),
        ("plumb_bob", "barrel", "unknown distortion model 'barrel'"),
        ("438.78", "0.0", "focal lengths must be positive"),
        ("438.78", ".nan", "camera_matrix must hold numbers"),
        ("438.78", "true", "camera_matrix must hold numbers"),
        ("640", "true", "image_width must be given as int, got True"),
        ("640", "2001-99-99", "not valid YAML"),
        (ROS_FILE, "[" * 20_000, "not valid YAML"),
        ("438.78, ", "", "camera_matrix must hold 9 numbers, got 8"),
        ("438.78", "much", "camera_matrix must hold numbers"),
        ("-0.361976, ", "[1], ", "distortion_coefficients must hold numbers"),
        ("camera_matrix:", "camera_matrices:", "camera_matrix must be given"),
    ],
    ids=lambda text: text.strip()[:24],
)
def test_a_wrong_yaml_is_explained(tmp_path, old, new, message):
    path = tmp_path / "camera.yaml"
    path.write_text(ROS_FILE.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as caught:
        read_camera(path)
    assert str(path) in str(caught.value)


def test_a_camera_name_that_would_break_the_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="letters, digits"):
        write_camera_yaml(tmp_path / "one.yaml", CAMERA, "a: b\nc")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_a_missing_file(tmp_path):
    for name in ("none.yaml", "none.qca.txt"):
        with pytest.raises(FileNotFoundError):
            read_camera(tmp_path / name)


def test_a_qualisys_file_comes_back_as_the_cameras_it_was_made_of(tmp_path):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(qualisys_file(studio(), left=100, top=50))
    for got, expected in zip(read_qualisys(path), studio(), strict=True):
        assert got.name == expected.name
        assert got.camera.source == "calibration_file"
        np.testing.assert_allclose(got.camera.matrix, expected.camera.matrix, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(got.camera.distortion, expected.camera.distortion)
        np.testing.assert_allclose(got.R_cam_world, expected.R_cam_world, rtol=0, atol=1e-12)
        np.testing.assert_allclose(got.position, expected.position, rtol=0, atol=1e-12)
        # the common target lies in front, on the optical axis
        np.testing.assert_allclose(got.to_camera(np.array([0.0, 0.0, 1.0]))[:2], 0.0, atol=1e-12)
        assert got.to_camera(np.array([0.0, 0.0, 1.0]))[2] > 2.9


def test_attributes_are_read_in_any_case(tmp_path):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(
        qualisys_file(studio()[:1])
        .replace("focalLengthU", "focallengthu")
        .replace("centerPointV", "centerpointv")
    )
    np.testing.assert_allclose(read_camera(path).matrix, K, rtol=0, atol=1e-10)


def test_one_of_several_cameras_is_chosen_by_name(tmp_path):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(qualisys_file(studio()))
    assert read_camera(path, "cam3") == read_qualisys(path)[2].camera
    for name in ("", "cam5"):
        with pytest.raises(ValueError, match="choose one of its cameras.*cam1, cam2, cam3, cam4"):
            read_camera(path, name)


BOMB = '<!DOCTYPE calibration [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "which is XML"),
        (lambda text: "[calibration]\nfocal = 3\n", "which is XML"),
        (lambda text: "", "which is XML"),
        (lambda text: "<calibration/>", "no <cameras>"),
        (lambda text: text.replace("?>", "?>" + BOMB, 1), "must not declare a document type"),
        (lambda text: text.replace("skew=", "askew="), "<intrinsic> has no attribute skew"),
        (lambda text: text.replace("<fov_video", "<fov"), "<camera> has no <fov_video>"),
        (lambda text: text.replace('skew="0"', 'skew="no"'), "skew of <intrinsic> is no number: 'no'"),
        (lambda text: re.sub(r'r11="[^"]*"', 'r11="0.9"', text), "must be a rotation"),
        (lambda text: text.replace('skew="0"', 'skew="nan"'), "skew of <intrinsic> is no number: 'nan'"),
        (lambda text: text.replace('left="0"', 'left="9999"'), "width must be a positive"),
        (lambda text: text + " " * (1 << 20), "too large for a calibration"),
    ],
)
def test_a_wrong_qualisys_file_is_explained(tmp_path, change, message):
    path = tmp_path / "Calib.qca.txt"
    path.write_text(change(qualisys_file(studio())))
    with pytest.raises(ValueError, match=message) as caught:
        read_qualisys(path)
    assert str(path) in str(caught.value)


def test_a_document_type_in_another_encoding_is_refused_too(tmp_path):
    path = tmp_path / "Calib.qca.txt"
    path.write_bytes(
        qualisys_file(studio()).replace("ASCII", "UTF-16").replace("?>", "?>" + BOMB, 1).encode("utf-16")
    )
    with pytest.raises(ValueError, match="not a text file in UTF-8"):
        read_qualisys(path)


def test_to_world_inverts_to_camera():
    for one in studio():
        np.testing.assert_allclose(one.to_world(one.to_camera(points())), points(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(one.to_camera(one.position), 0.0, atol=1e-12)


def test_triangulation_gives_points_back_to_numerical_precision():
    cameras, xyz = studio(), points()
    np.testing.assert_allclose(triangulate(cameras, views(cameras, xyz)), xyz, rtol=0, atol=1e-9)
    track = xyz.reshape(3, 11, 3)
    np.testing.assert_allclose(triangulate(cameras, views(cameras, track)), track, rtol=0, atol=1e-9)


def test_a_missing_view_takes_no_part_and_one_view_is_too_few():
    cameras, xyz = studio(), points()
    px = views(cameras, xyz)
    px[0, 3] = px[2, 3, 0] = np.nan
    px[1:, 5] = np.nan
    px[1, 8] = np.inf
    found = triangulate(cameras, px)
    np.testing.assert_allclose(np.delete(found, 5, 0), np.delete(xyz, 5, 0), rtol=0, atol=1e-9)
    assert np.isnan(found[5]).all()


def test_a_view_of_weight_zero_does_no_harm_and_one_of_weight_one_does():
    cameras, xyz = studio(), points()
    px = views(cameras, xyz)
    px[1] += 40.0
    weights = np.ones((4, 33))
    assert np.linalg.norm(triangulate(cameras, px, weights) - xyz, axis=-1).min() > 0.005
    weights[1] = [0.0, np.nan, *[0.0] * 31]
    np.testing.assert_allclose(triangulate(cameras, px, weights), xyz, rtol=0, atol=1e-9)


def test_planted_faults_show_as_reprojection_error():
    cameras, xyz = studio(), points()
    px = views(cameras, xyz)

    def residual(wrong: list[CalibratedCamera]) -> float:
        errors = np.linalg.norm(views(wrong, triangulate(wrong, px)) - px, axis=-1)
        return float(np.median(np.where(np.isnan(errors), np.inf, errors)))  # NaN: behind the camera

    assert residual(cameras) < 1e-6
    millimetres = [replace(cameras[0], t=1000.0 * cameras[0].t), *cameras[1:]]
    mirrored = [replace(cameras[0], R_cam_world=cameras[0].R_cam_world.T), *cameras[1:]]
    turned = Rotation.from_euler("z", 180, degrees=True).as_matrix()
    upside_down = [
        replace(one, R_cam_world=turned @ one.R_cam_world, t=turned @ one.t) for one in cameras[:2]
    ] + cameras[2:]
    undistorted = [replace(one, camera=replace(one.camera, distortion=np.zeros(5))) for one in cameras]
    for wrong, least in ((millimetres, 20.0), (mirrored, 20.0), (upside_down, 20.0), (undistorted, 0.05)):
        assert residual(wrong) > least


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"R_cam_world": np.diag([1.0, 1.0, -1.0])}, "must be a rotation"),
        ({"R_cam_world": 1.1 * np.eye(3)}, "must be a rotation"),
        ({"t": np.array([0.0, np.nan, 0.0])}, "3 finite numbers"),
    ],
)
def test_what_is_no_pose_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(studio()[0], **change)


def test_triangulation_wants_one_view_of_each_camera():
    with pytest.raises(ValueError, match="pixels of 4 cameras, got 3"):
        triangulate(studio(), np.zeros((3, 2)))


DEMO = "Demo_SinglePerson/calibration/Calib.qca.txt"


def demo() -> Path:
    try:
        return assets.path(DEMO)
    except FileNotFoundError:
        pytest.skip("the demo's calibration was not fetched: make setup")


def test_the_demo_cameras_see_the_board_on_the_floor_where_their_photographs_show_it():
    cameras = {one.name: one for one in read_qualisys(demo())}
    assert {(one.camera.width, one.camera.height) for one in cameras.values()} == {(1088, 1920)}
    # The world's origin lies on the board's edge. These projections were drawn into the calibration's own
    # photographs and met that edge in all four.
    corner = np.array([0.0, 0.0, 0.0])
    for name, seen in (
        ("cam01", (719, 1503)),
        ("cam02", (474, 1386)),
        ("cam03", (207, 1079)),
        ("cam04", (731, 983)),
    ):
        camera = cameras[name]
        np.testing.assert_allclose(camera.camera.project(camera.to_camera(corner)), seen, rtol=0, atol=8.0)
        assert 1.5 < camera.position[2] < 2.2
        # nobody films upside down: what is up in the world is up in the image
        assert camera.R_cam_world[1, 2] < -0.7


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nimage_width: *b\n",
        "a: &a {k: 1}\nb: &b {<<: [*a, *a, *a]}\n",
    ],
)
def test_a_yaml_with_aliases_is_refused(tmp_path, text):
    """A few hundred bytes of them, each of which names the one before ten times, stand for terabytes."""
    (tmp_path / "camera.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"camera.yaml: not valid YAML: it has an alias \(\*\)"):
        read_camera(tmp_path / "camera.yaml")


@pytest.mark.parametrize("text", ["image_width: [" + "1, " * 5000 + "1]\n", "image_width: " + "x" * 60_000])
def test_what_a_yaml_holds_does_not_fill_the_screen(tmp_path, text):
    (tmp_path / "camera.yaml").write_text(text)
    with pytest.raises(ValueError, match="image_width must be given as int") as caught:
        read_camera(tmp_path / "camera.yaml")
    assert len(str(caught.value)) <= 300


def test_a_yaml_that_is_no_calibration_by_its_size_is_not_parsed(tmp_path):
    (tmp_path / "camera.yaml").write_text("image_width: " + "1:" * 40_000 + "1\n")
    with pytest.raises(ValueError, match=r"too large for a calibration \(over 64 KiB\)"):
        read_camera(tmp_path / "camera.yaml")


@pytest.mark.parametrize("number", ["9" * 400, "1" + "0" * 308 + "e9"])
def test_a_number_beyond_all_numbers_is_refused(tmp_path, number):
    """It became infinity, and an OverflowError where a whole number was due."""
    path = tmp_path / "Calib.qca.txt"
    path.write_text(re.sub(r'right="[^"]*"', f'right="{number}"', qualisys_file(studio())))
    with pytest.raises(ValueError, match="right of <fov_video> is too large") as caught:
        read_qualisys(path)
    assert len(str(caught.value)) <= 300
