"""What set-up writes into the virtual environment: the bootstrap with its settings, and the `pose` command."""

from __future__ import annotations

from pathlib import Path

from workspace.machine import Ros
from workspace.steps import digest_of

BOOTSTRAP = "_pose_workspace"
"""Module and .pth file; the underscore sorts before ros_wheels_bootstrapper.pth, which would execute Python again itself."""


def settings_text(root: Path, venv: Path, site_packages: Path, ros: Ros) -> str:
    """Source of the bootstrap's settings module. `site_packages` is the virtual environment's, already filled."""
    install = root / "install"
    libraries = [str(install / "lib")]
    variables = {}
    if ros.from_wheels:
        libraries += [str(venv / "lib"), *map(str, sorted(site_packages.glob("ros_*.libs")))]
        # The guard keeps the wheels' own bootstrap, which does a part of the same, from executing Python a third time.
        variables = {"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp", "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"}
    else:
        libraries += ros.libraries
        variables = {"ROS_DISTRO": ros.distro, "ROS_VERSION": "2"}
    values = {
        "ISOLATED": ros.from_wheels,
        "PREFIXES": [str(install), *([str(venv)] if ros.from_wheels else ros.prefixes)],
        "LIBRARIES": list(dict.fromkeys(libraries)),
        "MODULES": list(ros.modules),
        "VARIABLES": variables,
        "SITE_FOLDERS": module_folders(install / site_packages.relative_to(venv)),
    }
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    return "\n".join(['"""Written by set-up."""', *lines, f"TOKEN = {digest_of(*lines)!r}"]) + "\n"


def module_folders(installed: Path) -> list[str]:
    """Folders for sys.path: the workspace's site-packages and, of a build with --symlink-install, what its links name."""
    linked = [link.read_text().splitlines()[0].strip() for link in sorted(installed.glob("*.egg-link"))]
    return [str(installed), *linked]


def bootstrap_files(settings: str) -> dict[str, str]:
    """Names and texts of the files for site-packages."""
    return {
        f"{BOOTSTRAP}.py": Path(__file__).with_name("bootstrap.py").read_text(),
        f"{BOOTSTRAP}_settings.py": settings,
        f"{BOOTSTRAP}.pth": f"import {BOOTSTRAP}, {BOOTSTRAP}_settings; {BOOTSTRAP}.start({BOOTSTRAP}_settings)\n",
    }


def script_text(python: Path, entry_point: str) -> str:
    """A command as pip would write it, for an entry point "module:function".

    The first lines are shell and, to Python, a string: unlike #!, they allow blanks in the interpreter's path. Processes that
    the command spawns import the file again, under another name, and must not run the command.
    """
    module, function = entry_point.split(":")
    return f"""\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""
