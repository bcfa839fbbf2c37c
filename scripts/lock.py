"""Write requirements/constraints.txt: every package that set-up installs, at one exact version for each Python.

    make lock PYTHONS="python3.10 python3.11 python3.12"
    make lock KEEP=1                                        only add what is new; what is pinned stays where it is

pip resolves each interpreter's environment without installing anything. A package whose version differs between
interpreters gets one line for each, with an environment marker. Run it to move to newer versions, then `make test`.

Variants of one version (torch's 2.13.0+cpu) are the same version here: any of them that is installed will do. What only the
variant for CUDA brings is left out; torch names the exact versions itself.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from workspace.packages import EXTRA_REQUIREMENTS, PIP_INSTALL, REQUIREMENTS, ROS_REQUIREMENTS

HEADER = """\
# Every package that set-up installs, at the version that was tested. Written by scripts/lock.py (`make lock`); edit the
# requirement files beside it instead.
"""

CUDA = re.compile(r"(cuda|nvidia|triton)(-|$)")
"""Packages of torch's variant for CUDA."""


def resolve(python: str, requirements: list[Path], keep: Path | None = None) -> tuple[str, dict[str, str]]:
    """The version of `python` ("3.11") and, by normalised package name, the versions pip picks for it.

    `keep`: a file of constraints to stay within.
    """
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
        if keep is not None:
            command += ["--constraint", str(keep)]
        subprocess.run(command, check=True)
        entries = json.loads(report.read_text())["install"]
    versions = {normal(entry["metadata"]["name"]): public(entry["metadata"]["version"]) for entry in entries}
    return version, {name: picked for name, picked in versions.items() if not CUDA.match(name)}


def normal(name: str) -> str:
    """A package's name in the one spelling that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def public(version: str) -> str:
    """A version without the label of the variant that was at hand: 2.13.0+cpu is 2.13.0 (PEP 440, local versions)."""
    return version.split("+")[0]


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


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make lock", description="Write requirements/constraints.txt.")
    parser.add_argument("--keep", action="store_true", help="leave what is pinned where it is")
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", help="interpreters to resolve for")
    chosen = parser.parse_args(arguments)
    if not chosen.pythons:
        print('name the interpreters: make lock PYTHONS="python3.10 python3.11 python3.12"', file=sys.stderr)
        return 2
    folder = Path(__file__).resolve().parent.parent / "requirements"
    constraints = folder / "constraints.txt"
    names = (*REQUIREMENTS, *ROS_REQUIREMENTS, *EXTRA_REQUIREMENTS.values())
    files = [folder / name for name in names]
    resolved = {}
    for python in chosen.pythons:
        version, packages = resolve(python, files, constraints if chosen.keep else None)
        resolved[version] = packages
        print(f"Python {version}: {len(packages)} packages")
    constraints.write_text(HEADER + "\n".join(merge(resolved)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
