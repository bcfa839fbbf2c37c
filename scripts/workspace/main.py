"""The steps of `make setup`, in order."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from workspace import launcher, machine, wheels
from workspace.packages import EXTRA_REQUIREMENTS, PIP_INSTALL, REQUIREMENTS, ROS_REQUIREMENTS
from workspace.steps import (
    SetUpError,
    Shell,
    Stamps,
    Step,
    digest_of,
    exclusive,
    replace_text,
    run_steps,
    until,
)

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "src" / "pose_core"
sys.path.append(str(CORE))
from pose_core import assets  # noqa: E402  (the table of assets needs the standard library alone)

PYTHON_VERSION = sysconfig.get_python_version()


@dataclass(frozen=True)
class Workspace:
    """Where things are, and the steps as methods."""

    root: Path
    ros: machine.Ros
    shell: Shell
    extras: tuple[str, ...] = ()
    """Names in EXTRA_REQUIREMENTS."""

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.venv / "bin" / "pose"

    @property
    def site_packages(self) -> Path:
        return self.venv / "lib" / f"python{PYTHON_VERSION}" / "site-packages"

    @property
    def requirements(self) -> list[Path]:
        names = [*REQUIREMENTS, *(ROS_REQUIREMENTS if self.ros.from_wheels else ())]
        return [self.root / "requirements" / name for name in names]

    @property
    def constraints(self) -> Path:
        return self.root / "requirements" / "constraints.txt"

    def steps(self) -> list[Step]:
        steps = [
            Step("virtual environment", self.environment_digest, self.make_environment, (self.python,)),
            Step(
                "Python packages",
                lambda: self.packages_digest(self.requirements),
                lambda: self.install_packages(self.requirements),
                clear=self.make_environment,
            ),
        ]
        if self.ros.from_wheels:
            steps.append(Step("ROS wheels", lambda: digest_of(Path(wheels.__file__)), self.patch_wheels))
        return [
            *steps,
            Step("colcon build", self.build_digest, self.build, (self.root / "install",), self.remove_build),
            Step("models and videos", self.assets_digest, self.fetch_assets, self.asset_files()),
            Step("pose command", self.launcher_digest, self.write_launcher, (self.command,)),
            *map(self.extra, self.extras),
        ]

    def extra(self, name: str) -> Step:
        """Last of all: what comes before rests on none of it, so that asking for it later repeats nothing.

        Its output is a mark inside the virtual environment, because a set-up without it may make that one anew.
        """
        file = self.root / "requirements" / EXTRA_REQUIREMENTS[name]
        mark = self.venv / f"with_{name}"

        def install() -> None:
            self.install_packages([file])
            mark.touch()

        return Step(f"packages to {name}", lambda: self.packages_digest([file]), install, (mark,))

    def environ(self, **extra: str) -> dict[str, str]:
        """The environment for the steps' programs: this virtual environment first, and only the chosen ROS 2."""
        environ = dict(os.environ)
        # Of `make`, whose job server must not reach cmake's make.
        dropped = ["PYTHONHOME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"]
        if self.ros.from_wheels:
            dropped += [
                "AMENT_PREFIX_PATH",
                "CMAKE_PREFIX_PATH",
                "COLCON_PREFIX_PATH",
                "LD_LIBRARY_PATH",
                "PYTHONPATH",
            ]
            dropped += ["_ROS_WHEELS_BOOTSTRAP_COMPLETE"]
        for name in dropped:
            environ.pop(name, None)
        environ["PATH"] = os.pathsep.join([str(self.venv / "bin"), environ.get("PATH", os.defpath)])
        environ["VIRTUAL_ENV"] = str(self.venv)
        environ["POSE_WORKSPACE_BOOTSTRAP"] = "0"
        return {**environ, **extra}

    def environment_digest(self) -> str:
        return digest_of(str(self.venv), sys.version, sys.base_prefix, self.ros.distro)

    def make_environment(self) -> None:
        command = [sys.executable, "-m", "venv", "--clear", self.venv]
        if not self.ros.from_wheels:
            command.append("--system-site-packages")
        self.shell(command, "the virtual environment could not be made", self.environ(), self.root)

    def packages_digest(self, requirements: list[Path]) -> str:
        return digest_of(*requirements, self.constraints, " ".join(PIP_INSTALL))

    def install_packages(self, requirements: list[Path]) -> None:
        command = [self.python, "-m", *PIP_INSTALL, "--constraint", self.constraints]
        for file in requirements:
            command += ["--requirement", file]
        self.shell(
            command,
            "pip could not install the packages; check the network and run again",
            self.environ(PYTHONPATH=""),
            self.root,
        )
        # matplotlib's mpl_toolkits has no __init__.py, so that one of an older apt matplotlib would win over it.
        toolkits = self.site_packages / "mpl_toolkits"
        if toolkits.is_dir():
            (toolkits / "__init__.py").touch()

    def patch_wheels(self) -> None:
        numpy_headers = self.shell(
            [self.python, "-c", "import numpy; print(numpy.get_include())"],
            "numpy does not import; remove .venv and run again",
            self.environ(),
            self.root,
        ).strip()
        wheels.patch(self.venv, sysconfig.get_path("include"), numpy_headers)

    def assets_digest(self) -> str:
        return digest_of(Path(assets.__file__))

    def asset_files(self) -> tuple[Path, ...]:
        return tuple(assets.cache_dir() / name for name in assets.DEFAULT)

    def fetch_assets(self) -> None:
        self.shell(
            [self.python, "-m", "pose_core.assets"],
            "models and videos could not be fetched",
            self.environ(PYTHONPATH=str(CORE)),
            self.root,
        )

    def build_digest(self) -> str:
        """Covers what colcon copies or links one by one; modules of packages with a setup.py are linked as whole folders."""
        parts: list[str | Path] = []
        for file in sorted((self.root / "src").glob("*/**/*")):
            package, *inside = file.relative_to(self.root / "src").parts
            # Caches of the tools change with every run of them.
            is_cache = any(part.startswith(".") or part == "__pycache__" for part in inside)
            if not file.is_file() or inside[0] == "test" or is_cache:
                continue
            if inside[0] != package:
                parts += [str(file), file]
            elif not (self.root / "src" / package / "setup.py").is_file():
                parts.append(str(file))  # CMake links each file
        for folder in ("launch", "config"):
            parts += [str(file) for file in sorted((self.root / folder).glob("*"))]
        return digest_of(*parts)

    def build(self) -> None:
        # Not bin/colcon: where colcon is an apt package, the virtual environment has the module but no script.
        command = [self.python, "-c", "import sys; from colcon_core.command import main; sys.exit(main())"]
        command += ["--log-base", "log", "build", "--base-paths", "src"]
        command += ["--merge-install", "--symlink-install", "--cmake-args", "-DCMAKE_BUILD_TYPE=Release"]
        command += ["-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={self.python}", "--no-warn-unused-cli"]
        extra = {}
        if self.ros.from_wheels:
            extra = {"AMENT_PREFIX_PATH": str(self.venv), "CMAKE_PREFIX_PATH": str(self.venv)}
        self.shell(command, "colcon build failed", self.environ(**extra), self.root)

    def remove_build(self) -> None:
        """A compiler that was killed may have left a file that looks newer than its source."""
        for name in ("build", "install", "log"):
            shutil.rmtree(self.root / name, ignore_errors=True)

    def launcher_digest(self) -> str:
        texts = launcher.bootstrap_files(self.settings()).values()
        return digest_of(*texts, launcher.script_text(self.python, "module:function"))

    def settings(self) -> str:
        return launcher.settings_text(self.root, self.venv, self.site_packages, self.ros)

    def write_launcher(self) -> None:
        for name, text in launcher.bootstrap_files(self.settings()).items():
            replace_text(self.site_packages / name, text)
        ask = (
            "from importlib.metadata import entry_points\n"
            "for entry in entry_points(group='console_scripts', name='pose'): print(entry.value)"
        )
        entry_point = self.shell(
            [self.python, "-c", ask],
            "the virtual environment does not start; remove .venv and run again",
            self.environ(POSE_WORKSPACE_BOOTSTRAP="1"),
            self.root,
        ).strip()
        if not entry_point:
            raise SetUpError(
                "no package of src/ offers the pose command; src/pose_tools/setup.cfg must name its entry point"
            )
        replace_text(self.command, launcher.script_text(self.python, entry_point))
        self.command.chmod(0o755)


def tell(text: str) -> None:
    print(text, end="", flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="make setup", description="Set up the workspace; what is done is skipped."
    )
    parser.add_argument("--again", action="store_true", help="do every step again")
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        choices=sorted(EXTRA_REQUIREMENTS),
        help="install packages that a robot does not need as well: train brings torch",
    )
    parser.add_argument("--until", metavar="STEP", help="stop after this step")
    chosen = parser.parse_args(arguments)
    state = ROOT / ".setup"
    start = time.monotonic()
    try:
        ros = machine.find_ros(os.environ, PYTHON_VERSION, ROOT)
        with exclusive(state / "lock", tell) as lock:
            if chosen.again:
                for stamp in state.glob("*.done"):
                    stamp.unlink()
            workspace = Workspace(
                ROOT, ros, Shell(state / "log.txt", lock), tuple(dict.fromkeys(chosen.extras))
            )
            steps = until(chosen.until, workspace.steps())
            count = run_steps(steps, Stamps(state), tell, lambda: machine.check_tools(ros))
    except SetUpError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up was interrupted; `make setup` goes on from here", file=sys.stderr)
        return 130
    tell(f"set-up is complete ({time.monotonic() - start:.1f} s)\n" if count else "set-up: nothing to do\n")
    return 0
