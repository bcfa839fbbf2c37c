"""What is wrong with this machine for all that works on files, and what to type to mend it.

Each check is a function that returns findings and prints nothing. What may crash on import (libraries built
against another NumPy) is tried in a process of its own.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pose_core import assets
from pose_tools.doctor.finding import FAIL, OK, SKIPPED, WARN, Check, Checks, installed, probe
from pose_tools.missing import has_ros

PYTHON = ((3, 10), (3, 12))
"""Where there is ROS 2."""
NEWEST_PYTHON = (3, 13)
"""Where there is none."""
MODEL = "pose_landmarker_full.task"
"""The model of the default configuration."""

GIB = 2**30


def python() -> Checks:
    """The interpreter's version."""
    version = sys.version_info[:2]
    text = f"{version[0]}.{version[1]}"
    newest = PYTHON[1] if has_ros() else NEWEST_PYTHON
    if PYTHON[0] <= version <= newest:
        return [Check("python", OK, text)]
    low, high = (".".join(map(str, end)) for end in (PYTHON[0], newest))
    remedy = f"install Python {high}, then: " + (
        f"PYTHON=python{high} make setup" if has_ros() else f"python{high} -m pip install pose-pipeline"
    )
    return [Check("python", FAIL, f"{text} is not from {low} to {high}", remedy)]


def numpy() -> Checks:
    """NumPy below 2 where there is ROS 2, whose cv_bridge is built against it."""
    limit = 2 if has_ros() else 3
    return [_version_below("numpy", "numpy", limit, f'pip install "numpy<{limit}"')]


def opencv() -> Checks:
    """OpenCV below 5, and only one of its wheels, which overwrite each other."""
    found = [_version_below("opencv", "cv2", 5, 'pip install "opencv-contrib-python<5"')]
    wheels = installed("opencv-")
    if len(wheels) > 1:
        remedy = f'pip uninstall -y {" ".join(wheels)} && pip install "opencv-contrib-python<5"'
        found.append(Check("opencv wheels", WARN, f"{', '.join(wheels)} overwrite each other", remedy))
    return found


def _version_below(name: str, module: str, limit: int, remedy: str) -> Check:
    tried = probe(f"import {module}; print({module}.__version__)")
    if tried.code:
        return Check(name, FAIL, f"{module} does not import: {tried.err}", remedy)
    if int(tried.out.split(".")[0]) >= limit:
        return Check(name, FAIL, f"{tried.out} is too new, it must be below {limit}", remedy)
    return Check(name, OK, tried.out)


def models() -> Checks:
    """The pose model and the demo videos are there with the right SHA-256."""
    # a node does not fetch the model, pose process does
    found = [_asset(MODEL, FAIL if has_ros() or assets.is_there(MODEL) else WARN)]
    demo = [name for name in assets.ASSETS if name.startswith("Demo_") and name.endswith(".mp4")]
    others = [name for name in assets.ASSETS if name.endswith(".task") and name != MODEL]
    broken = [check for name in demo if (check := _asset(name, WARN)).level != OK]
    found += broken or [Check("demo videos", OK, f"{len(demo)} videos")]
    # a model that nobody fetched is none to complain about, a damaged one is
    return found + [check for name in others if assets.is_there(name) and (check := _asset(name, FAIL))]


def _asset(name: str, level: str) -> Check:
    try:
        return Check(name, OK, str(assets.verify(name)))
    except (assets.MissingAsset, assets.CorruptAsset) as error:
        return Check(name, level, str(error), f"pose fetch {name}")


_LANDMARKER = """
import sys
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
options = vision.PoseLandmarkerOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]))
with vision.PoseLandmarker.create_from_options(options):
    print(mediapipe.__version__)
"""


def mediapipe() -> Checks:
    """MediaPipe opens the pose model."""
    if not assets.is_there(MODEL):
        return [Check("mediapipe", SKIPPED, f"needs {MODEL}, which is missing")]
    tried = probe(_LANDMARKER, str(assets.path(MODEL)))
    if not tried.code:
        return [Check("mediapipe", OK, f"{tried.out} opens {MODEL}")]
    is_library = ".so" in tried.err
    remedy = (
        "sudo apt install libgles2 libegl1 libgl1"
        if is_library
        else 'pip install "mediapipe>=1.2" or make setup'
    )
    return [Check("mediapipe", FAIL, f"does not open {MODEL}: {tried.err}", remedy)]


_GPU_PROVIDERS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")


def gpu(*, devices: Path = Path("/dev")) -> Checks:
    """Whether ONNX Runtime can use the GPU that is there."""
    wheels = installed("onnxruntime")
    tried = probe("import onnxruntime; print(*onnxruntime.get_available_providers())")
    if tried.code:
        return [Check("onnxruntime", FAIL, f"does not import: {tried.err}", "pip install onnxruntime")]
    providers = tried.out.split()
    found = [Check("onnxruntime", OK, ", ".join(providers))]
    if len(wheels) > 1:
        remedy = f"pip uninstall -y {' '.join(wheels)} && pip install onnxruntime-gpu"
        found = [Check("onnxruntime", WARN, f"{' and '.join(wheels)} overwrite each other", remedy)]
    boards = [*devices.glob("nvidia[0-9]*"), *devices.glob("dxg")]
    if not boards:
        return [*found, Check("gpu", OK, "none; models run on the CPU")]
    if any(name in providers for name in _GPU_PROVIDERS):
        return [*found, Check("gpu", OK, f"{boards[0]}, used by ONNX Runtime")]
    remedy = f"pip uninstall -y {' '.join(wheels) or 'onnxruntime'} && pip install onnxruntime-gpu"
    return [
        *found,
        Check("gpu", WARN, f"{boards[0]} is there, but ONNX Runtime can only use the CPU", remedy),
    ]


def disk(folder: Path | None = None) -> Checks:
    """Free space where bags go: a minute of results takes some 10 MB, with images 400 MB."""
    folder = folder or Path.cwd()
    free = shutil.disk_usage(folder).free
    detail = f"{free / GIB:.1f} GiB free in {folder}"
    if free >= 2 * GIB:
        return [Check("disk", OK, detail)]
    remedy = f"free space, or record elsewhere: pose live --record /other/disk/bag; what is large: du -sh {folder}/*"
    return [Check("disk", FAIL if free < GIB // 10 else WARN, detail, remedy)]
