"""What importing pose_core brings with it: its users may be small programs on small machines."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pose_core

HEAVY = ("cv2", "jaxtyping", "mediapipe", "onnxruntime", "rclpy", "scipy", "torch", "yaml")


def test_no_module_loads_ros_a_network_library_or_opencv():
    modules = [module.name for module in pkgutil.walk_packages(pose_core.__path__, "pose_core.")]
    assert "pose_core.geometry.camera" in modules
    program = f"import sys, {', '.join(modules)}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
