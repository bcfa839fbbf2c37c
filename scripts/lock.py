"""Write requirements/constraints.txt: every package that set-up installs, at one exact version for each Python.

    make lock PYTHONS="python3.10 python3.11 python3.12"

pip resolves each interpreter's environment without installing anything. A package whose version differs between
interpreters gets one line for each, with an environment marker. Run it to move to newer versions, then `make test`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from workspace.packages import PIP_INSTALL, REQUIREMENTS, ROS_REQUIREMENTS

HEADER = """\
# Every package that set-up installs, at the version that was tested. Written by scripts/lock.py (`make lock`); edit the
# requirement files beside it instead.
"""


def resolve(python: str, requirements: list[Path]) -> tuple[str, dict[str, str]]:
    """The version of `python` ("3.11") and, by normalised package name, the versions pip picks for it."""
    version = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            python,
            "-m",
            *PIP_INSTALL,
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--report",
            str(report),
        ]
        for file in requirements:
            command += ["--requirement", str(file)]
        subprocess.run(command, check=True)
        entries = json.loads(report.read_text())["install"]
    return version, {normal(entry["metadata"]["name"]): entry["metadata"]["version"] for entry in entries}


def normal(name: str) -> str:
    """A package's name in the one spelling that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def merge(resolved: dict[str, dict[str, str]]) -> list[str]:
    """Constraint lines from {Python version: {package: version}}: plain where all agree, with markers where not."""
    pythons = sorted(resolved, key=lambda version: tuple(map(int, version.split("."))))
    lines = []
    for name in sorted(set().union(*resolved.values())):
        by_version = defaultdict(list)
        for python in pythons:
            if name in resolved[python]:
                by_version[resolved[python][name]].append(python)
        for version, users in by_version.items():
            marker = " or ".join(f'python_version == "{python}"' for python in users)
            lines.append(f"{name}=={version}" + (f" ; {marker}" if users != pythons else ""))
    return lines


def main(pythons: list[str]) -> int:
    if not pythons:
        print('name the interpreters: make lock PYTHONS="python3.10 python3.11 python3.12"', file=sys.stderr)
        return 2
    folder = Path(__file__).resolve().parent.parent / "requirements"
    files = [folder / name for name in (*REQUIREMENTS, *ROS_REQUIREMENTS)]
    resolved = {}
    for python in pythons:
        version, packages = resolve(python, files)
        resolved[version] = packages
        print(f"Python {version}: {len(packages)} packages")
    (folder / "constraints.txt").write_text(HEADER + "\n".join(merge(resolved)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
