"""What the machine must have before set-up can begin, and which ROS 2 it offers."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workspace.steps import SetUpError

APT_ROS_PACKAGES = (
    "ament_cmake",
    "builtin_interfaces",
    "cv_bridge",
    "diagnostic_msgs",
    "rclpy",
    "rosidl_default_generators",
    "sensor_msgs",
    "std_msgs",
    "visualization_msgs",
)
"""Packages that an installed ROS 2 must hold; ros-DISTRO-ros-base lacks only cv_bridge."""


@dataclass(frozen=True)
class Ros:
    """The ROS 2 that the workspace is built on.

    `distro` is empty for the wheels; else it names an installed ROS 2, and the rest is what its setup script has put
    into AMENT_PREFIX_PATH, LD_LIBRARY_PATH and PYTHONPATH.
    """

    distro: str = ""
    prefixes: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def from_wheels(self) -> bool:
        return not self.distro


LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libgthread-2.0.so.0": "libglib2.0-0",
}
"""Shared libraries that the wheels of OpenCV and MediaPipe expect on the machine, and their Debian packages."""


def paths(value: str | None) -> tuple[str, ...]:
    """The entries of a variable such as PATH, without empty ones."""
    return tuple(entry for entry in (value or "").split(os.pathsep) if entry)


def find_ros(environ: Mapping[str, str], python: str, root: Path) -> Ros:
    """The ROS 2 that is sourced, else the wheels. `python` is the interpreter's version ("3.12").

    This workspace, at `root`, may be sourced on top: its own paths do not count. Raises SetUpError when the sourced
    ROS 2 is incomplete or made for another Python.
    """
    distro = environ.get("ROS_DISTRO", "")
    if not distro:
        return Ros()

    def sourced(name: str) -> tuple[str, ...]:
        return tuple(path for path in paths(environ.get(name)) if not Path(path).is_relative_to(root))

    prefixes = sourced("AMENT_PREFIX_PATH")
    if not prefixes:
        raise SetUpError(
            f"ROS_DISTRO is {distro} but AMENT_PREFIX_PATH is empty; source /opt/ros/{distro}/setup.bash, or unset "
            "ROS_DISTRO to use the ROS 2 wheels"
        )
    missing = [name for name in APT_ROS_PACKAGES if not any(_holds(prefix, name) for prefix in prefixes)]
    if missing:
        names = " ".join(f"ros-{distro}-{name.replace('_', '-')}" for name in missing)
        raise SetUpError(f"ROS 2 {distro} lacks {', '.join(missing)}; apt install {names}")
    if not any((Path(prefix) / "lib" / f"python{python}").is_dir() for prefix in prefixes):
        raise SetUpError(
            f"ROS 2 {distro} has no modules for Python {python}; name the Python that it was made for, for example: "
            "make setup PYTHON=/usr/bin/python3"
        )
    return Ros(distro, prefixes, sourced("LD_LIBRARY_PATH"), sourced("PYTHONPATH"))


def _holds(prefix: str, package: str) -> bool:
    return (Path(prefix) / "share" / package / "package.xml").is_file()


def check_tools(ros: Ros) -> None:
    """Raise SetUpError unless the machine can build the workspace."""
    if ros.from_wheels:
        check_wheels(platform.system(), platform.machine(), platform.libc_ver())
    found = {
        "cmake": shutil.which("cmake") is not None,
        "g++": shutil.which("c++") is not None or shutil.which("g++") is not None,
        "python3-venv": importlib.util.find_spec("ensurepip") is not None,
        "python3-dev": (Path(sysconfig.get_path("include")) / "Python.h").is_file(),
    }
    found |= {package: _loads(library) for library, package in LIBRARIES.items()}
    missing = [name for name, there in found.items() if not there]
    if missing:
        raise SetUpError(f"{', '.join(missing)} missing; Debian, Ubuntu: apt install {' '.join(missing)}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def check_wheels(system: str, processor: str, libc: tuple[str, str]) -> None:
    """Raise SetUpError where the ROS 2 wheels do not run: they are made for x86-64 Linux with glibc 2.28 or newer."""
    if (system, processor) != ("Linux", "x86_64"):
        raise SetUpError(
            f"the ROS 2 wheels exist for Linux on x86_64, this is {system} on {processor}; install ROS 2 Jazzy or Kilted, source "
            "its setup.bash and run again"
        )
    name, version = libc
    if name != "glibc" or tuple(map(int, version.split(".")[:2])) < (2, 28):
        raise SetUpError(
            f"the ROS 2 wheels need glibc 2.28 or newer, this machine has {name or 'another C library'} {version}".rstrip()
        )
