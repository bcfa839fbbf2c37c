"""Where the configuration files are, in an installed workspace."""

from __future__ import annotations

from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory


def config_file(name: str) -> Path:
    """The file `name` of config/. Raises FileNotFoundError naming the remedy."""
    try:
        path = Path(get_package_share_directory("pose_pipeline")) / "config" / name
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            "package pose_pipeline is not installed; run `make setup`, or colcon build and source it"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; build the workspace again (`make setup` or colcon build)"
        )
    return path
