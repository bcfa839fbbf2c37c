"""The Python packages of the virtual environment: which files name them and how pip is called."""

from __future__ import annotations

REQUIREMENTS = ("runtime.txt", "build.txt", "dev.txt")
"""Files in requirements/ that every set-up installs."""

ROS_REQUIREMENTS = ("ros.txt",)
"""Installed as well where no ROS 2 is installed."""

EXTRA_REQUIREMENTS = {"train": "train.txt"}
"""Installed only where set-up is asked `--with` the name."""

PIP_INSTALL = (
    "pip",
    "install",
    "--disable-pip-version-check",
    "--no-input",
    "--only-binary=:all:",
    "--no-binary=empy",
)
"""Wheels only, so that nothing is compiled; empy 3 is served as source alone (pure Python)."""
