"""Calibration files: where cameras stand and what their lenses do.

Reads the YAML that ROS's camera_calibration writes (format of camera_calibration_parsers) and the XML that
Qualisys Track Manager exports (`*.qca.txt`); writes the former.
"""

from __future__ import annotations

import math
import os
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from pose_core.files import write_whole
from pose_core.geometry.camera import Camera
from pose_core.reading.damage import damage_told
from pose_core.registry import suggest
from pose_core.types import Array, Matrix3, Points3, Vector3, Views2, ViewWeights

LARGEST_FILE = 1 << 20
"""Bytes; calibration files have a few thousand for each camera."""
LARGEST_YAML = 1 << 16
"""Bytes; it has one camera, and the time that YAML takes to read grows with the square of some numbers in it."""
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?\s*")
CAMERA_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera and its place in a world that several cameras share: x_cam = R_cam_world @ x_world + t.

    Metres; the camera's axes are those of the optical frame. Raises ValueError unless R_cam_world is a
    rotation.
    """

    name: str
    camera: Camera
    R_cam_world: Matrix3
    t: Vector3

    def __post_init__(self) -> None:
        R = self.R_cam_world
        if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=1e-4) or np.linalg.det(R) < 0.0:
            raise ValueError(f"camera '{self.name}': R_cam_world must be a rotation, got {R.tolist()}")
        if self.t.shape != (3,) or not np.isfinite(self.t).all():
            raise ValueError(f"camera '{self.name}': t must be 3 finite numbers, got {self.t.tolist()}")

    @property
    def position(self) -> Vector3:
        """(3,) the camera's centre in the world, metres."""
        return -self.R_cam_world.T @ self.t

    @property
    def up(self) -> Vector3:
        """(3,) unit vector that points up, camera axes, where the world has z up, as Qualisys calibrates it."""
        return self.R_cam_world[:, 2]

    def to_camera(self, xyz: Points3) -> Points3:
        """World points (..., 3) in the camera's frame, metres; inverse of `to_world`."""
        return xyz @ self.R_cam_world.T + self.t

    def to_world(self, xyz: Points3) -> Points3:
        """Points (..., 3) of the camera's frame in the world, metres."""
        return (xyz - self.t) @ self.R_cam_world


def triangulate(
    cameras: list[CalibratedCamera], xy_px: Views2, weights: ViewWeights | None = None
) -> Points3:
    """World points (..., 3) nearest to the rays of pixels (C, ..., 2) of C cameras, in metres.

    Linear (direct linear transform: Hartley and Zisserman, "Multiple View Geometry", 2nd edition, section
    12.2) on undistorted coordinates. `weights` (C, ...) scale a camera's equations. A view with NaN takes no
    part; with fewer than two views a point is NaN.
    """
    xy_px = np.asarray(xy_px, float)
    if len(xy_px) != len(cameras):
        raise ValueError(f"expected pixels of {len(cameras)} cameras, got {len(xy_px)}")
    rows, rest = [], []
    for i, calibrated in enumerate(cameras):
        xy = calibrated.camera.undistort(xy_px[i])
        weight = np.ones(xy.shape[:-1]) if weights is None else np.asarray(weights[i], float)
        scale = np.where(np.isfinite(xy).all(-1) & np.isfinite(weight), weight, 0.0)
        for axis in range(2):
            coordinate = np.where(scale != 0.0, xy[..., axis], 0.0)
            rows.append(
                scale[..., None]
                * (coordinate[..., None] * calibrated.R_cam_world[2] - calibrated.R_cam_world[axis])
            )
            rest.append(scale * (calibrated.t[axis] - coordinate * calibrated.t[2]))
    A, b = np.stack(rows, -2), np.stack(rest, -1)
    views = np.count_nonzero(A.any(-1), axis=-1) // 2
    points = (np.linalg.pinv(A) @ b[..., None])[..., 0]
    return np.where((views >= 2)[..., None], points, np.nan)


def read_camera(path: str | os.PathLike[str], name: str = "") -> Camera:
    """The camera of a ROS camera_info YAML, or the one called `name` of a Qualisys file.

    Raises FileNotFoundError where there is no file, ValueError naming the file and what is wrong with it
    otherwise.
    """
    path = Path(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _read_camera_yaml(path)
    cameras = {calibrated.name: calibrated.camera for calibrated in read_qualisys(path)}
    if not name and len(cameras) == 1:
        return next(iter(cameras.values()))
    if name not in cameras:
        raise ValueError(
            f"{path}: choose one of its cameras by name, got '{name}'; {suggest(name, sorted(cameras))}"
        )
    return cameras[name]


def write_camera_yaml(path: str | os.PathLike[str], camera: Camera, name: str = "camera") -> None:
    """Write `camera` as a ROS camera_info YAML; `read_camera` is the inverse, up to `source`.

    Rectification is none (R identity, P from K). The file appears whole or not at all.
    """
    if not CAMERA_NAME.fullmatch(name):
        raise ValueError(f"a camera's name consists of letters, digits, _ and -, got '{name}'")
    projection = np.hstack([camera.matrix, np.zeros((3, 1))])
    matrices = (
        ("camera_matrix", camera.matrix),
        ("distortion_coefficients", camera.distortion[None]),
        ("rectification_matrix", np.eye(3)),
        ("projection_matrix", projection),
    )
    lines = [f"image_width: {camera.width}", f"image_height: {camera.height}", f"camera_name: {name}"]
    lines.append(f"distortion_model: {camera.model}")
    for key, matrix in matrices:
        data = ", ".join(_yaml_number(float(value)) for value in matrix.flat)
        lines += [f"{key}:", f"  rows: {matrix.shape[0]}", f"  cols: {matrix.shape[1]}", f"  data: [{data}]"]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def read_qualisys(path: str | os.PathLike[str]) -> list[CalibratedCamera]:
    """The cameras of a Qualisys Track Manager calibration, in the file's order, named by serial number.

    Focal lengths and centres stand there in 1/64 pixel, positions in millimetres; the columns of the rotation
    are the world's axes seen by a camera that looks along -z with y up, which this function turns into the
    optical frame (x right, y down, z forward). Raises as `read_camera` does. A document type declaration is
    refused: no calibration needs one, and entities could blow a small file up to any size.
    """
    path = Path(path)
    with damage_told(path, "is no Qualisys calibration: {}"):
        return _read_qualisys(path)


def _read_qualisys(path: Path) -> list[CalibratedCamera]:
    text = _read_text(path)
    if "<!DOCTYPE" in text:
        raise ValueError(f"{path}: a calibration must not declare a document type (<!DOCTYPE ...>)")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not a Qualisys calibration, which is XML: {error}") from error
    cameras = [_qualisys_camera(path, _Element(path, element)) for element in root.findall("cameras/camera")]
    if not cameras:
        raise ValueError(f"{path}: not a Qualisys calibration: it has no <cameras> with a <camera> in it")
    return cameras


@dataclass(frozen=True)
class _Element:
    """An XML element whose attributes are read in any case; versions of the program differ in it."""

    path: Path
    element: ElementTree.Element

    def child(self, *names: str) -> _Element:
        for name in names:
            found = self.element.find(name)
            if found is not None:
                return _Element(self.path, found)
        raise ValueError(f"{self.path}: <{self.element.tag}> has no <{names[0]}>")

    def text(self, name: str) -> str:
        for key, value in self.element.attrib.items():
            if key.lower() == name.lower():
                return value
        raise ValueError(f"{self.path}: <{self.element.tag}> has no attribute {name}")

    def number(self, name: str) -> float:
        text = self.text(name)
        if not NUMBER.fullmatch(text):
            raise ValueError(f"{self.path}: {name} of <{self.element.tag}> is no number: '{text[:40]}'")
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{self.path}: {name} of <{self.element.tag}> is too large: '{text[:40]}'")
        return number

    def numbers(self, *names: str) -> Array:
        return np.array([self.number(name) for name in names])


def _qualisys_camera(path: Path, element: _Element) -> CalibratedCamera:
    name = element.text("serial")
    left, top, right, bottom = element.child("fov_video", "fov_video_max").numbers(
        "left", "top", "right", "bottom"
    )
    intrinsic, transform = element.child("intrinsic"), element.child("transform")
    fx, fy = intrinsic.numbers("focalLengthU", "focalLengthV") / 64.0
    cx, cy = intrinsic.numbers("centerPointU", "centerPointV") / 64.0 - (left, top)
    skew = intrinsic.number("skew") / 64.0
    k1, k2, k3 = (intrinsic.number(f"radialDistortion{i}") for i in (1, 2, 3))
    p1, p2 = (intrinsic.number(f"tangentalDistortion{i}") for i in (1, 2))
    rotation = transform.numbers(*(f"r{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3))).reshape(
        3, 3
    )
    R_cam_world = np.diag([1.0, -1.0, -1.0]) @ rotation
    position = transform.numbers("x", "y", "z") / 1000.0
    try:
        camera = Camera(
            int(right - left + 1),
            int(bottom - top + 1),
            np.array([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
            np.array([k1, k2, p1, p2, k3]),
            source="calibration_file",
        )
        return CalibratedCamera(name, camera, R_cam_world, -R_cam_world @ position)
    except ValueError as error:
        raise ValueError(f"{path}: camera '{name[:40]}': {error}") from error


def _read_camera_yaml(path: Path) -> Camera:
    with damage_told(path, "is no camera_info file: {}"):
        return _camera_of_yaml(path)


def _camera_of_yaml(path: Path) -> Camera:
    import yaml  # only those who read YAML need it

    class Loader(yaml.SafeLoader):
        """Without aliases, which no calibration needs: with them a few lines may stand for any number of values."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("it has an alias (*), which no calibration needs")
            return super().compose_node(parent, index)

    text = _read_text(path, LARGEST_YAML)
    try:
        content = yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: not a camera_info file: it holds no names with values")
    try:
        return Camera(
            _yaml_value(content, "image_width", int),
            _yaml_value(content, "image_height", int),
            _yaml_numbers(content, "camera_matrix", 9).reshape(3, 3),
            _yaml_numbers(content, "distortion_coefficients"),
            _yaml_value(content, "distortion_model", str),
            source="calibration_file",
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _yaml_number(value: float) -> str:
    """Every digit, and a point before any exponent, without which YAML 1.1 reads a string."""
    digits, exponent, power = repr(value).partition("e")
    return digits + (".0" if exponent and "." not in digits else "") + exponent + power


def _yaml_value(content: Mapping[str, Any], key: str, kind: type) -> Any:
    if type(content.get(key)) is not kind:
        raise ValueError(f"{key} must be given as {kind.__name__}, got {reprlib.repr(content.get(key))}")
    return content[key]


def _yaml_numbers(content: Mapping[str, Any], key: str, count: int | None = None) -> Array:
    data = _yaml_value(_yaml_value(content, key, dict), "data", list)
    # PyYAML takes 1e-05, which C++ programs write, for a string.
    if not all(type(value) in (int, float, str) and NUMBER.fullmatch(str(value)) for value in data):
        raise ValueError(f"{key} must hold numbers, got {reprlib.repr(data)}")
    if count is not None and len(data) != count:
        raise ValueError(f"{key} must hold {count} numbers, got {len(data)}")
    return np.array(data, float)


def _read_text(path: Path, largest: int = LARGEST_FILE) -> str:
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"{path}: too large for a calibration (over {largest >> 10} KiB)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not a text file in UTF-8: {error}") from error
