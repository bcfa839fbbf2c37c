"""Every start of the environment's Python knows ROS 2, executes itself again at most once, and mixes no two ROS 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workspace import launcher
from workspace.bootstrap import GUARD, code_when_interrupted, environment
from workspace.machine import Ros

SCRIPTS = Path(__file__).parents[1]


@pytest.fixture
def venv(tmp_path) -> Path:
    site_packages = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    for name in ("ros_rcl.libs", "ros_fastdds.libs", "numpy.libs"):
        (site_packages / name).mkdir(parents=True)
    links = tmp_path / "install" / "lib" / "python3.11" / "site-packages"
    links.mkdir(parents=True)
    (links / "pose-core.egg-link").write_text("/build/pose_core\n.")
    return tmp_path / ".venv"


def settings_of(venv: Path, ros: Ros) -> SimpleNamespace:
    site_packages = venv / "lib" / "python3.11" / "site-packages"
    text = launcher.settings_text(venv.parent, venv, site_packages, ros)
    values: dict[str, object] = {}
    exec(compile(text, "settings", "exec"), values)  # noqa: S102  (a module that set-up itself writes)
    return SimpleNamespace(**values)


def test_wheels_settings(venv):
    root, settings = venv.parent, settings_of(venv, Ros())
    assert settings.PREFIXES == [f"{root}/install", str(venv)]
    libs = f"{venv}/lib/python3.11/site-packages"
    assert settings.LIBRARIES == [
        f"{root}/install/lib",
        f"{venv}/lib",
        f"{libs}/ros_fastdds.libs",
        f"{libs}/ros_rcl.libs",
    ]
    assert settings.SITE_FOLDERS == [f"{root}/install/lib/python3.11/site-packages", "/build/pose_core"]
    assert settings.VARIABLES["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"


def test_wheels_ignore_another_sourced_ros(venv):
    settings = settings_of(venv, Ros())
    changes = environment(
        settings,
        {
            "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
            "LD_LIBRARY_PATH": "/opt/ros/jazzy/lib:/opt/ros/jazzy-of-mine/lib:/usr/local/cuda/lib64",
            "PYTHONPATH": "/opt/ros/jazzy/lib/python3.12/site-packages:/home/me/modules",
            "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp",
        },
    )
    assert changes["AMENT_PREFIX_PATH"].split(":") == settings.PREFIXES
    theirs = changes["LD_LIBRARY_PATH"].split(":")[len(settings.LIBRARIES) :]
    assert theirs == ["/opt/ros/jazzy-of-mine/lib", "/usr/local/cuda/lib64"]
    assert changes["PYTHONPATH"] == "/home/me/modules"
    assert changes["RMW_IMPLEMENTATION"] == "rmw_fastrtps_cpp"


def test_an_installed_ros_is_kept_with_what_is_sourced_on_top(venv):
    ros = Ros("jazzy", ("/opt/ros/jazzy",), ("/opt/ros/jazzy/lib",), ("/opt/ros/jazzy/modules",))
    settings = settings_of(venv, ros)
    install = f"{venv.parent}/install"
    bare = environment(settings, {})
    assert bare["AMENT_PREFIX_PATH"] == f"{install}:/opt/ros/jazzy"
    assert bare["LD_LIBRARY_PATH"] == f"{install}/lib:/opt/ros/jazzy/lib"
    assert bare["PYTHONPATH"] == "/opt/ros/jazzy/modules"
    assert bare["ROS_DISTRO"] == "jazzy"
    assert "RMW_IMPLEMENTATION" not in bare
    overlaid = environment(settings, {"AMENT_PREFIX_PATH": "/overlay:/opt/ros/jazzy"})
    assert overlaid["AMENT_PREFIX_PATH"] == f"{install}:/opt/ros/jazzy:/overlay"


def test_nothing_is_set_to_an_empty_path(venv):
    assert "PYTHONPATH" not in environment(settings_of(venv, Ros()), {})


def test_the_token_follows_the_settings(venv):
    one, other = settings_of(venv, Ros()), settings_of(venv, Ros("jazzy", ("/opt/ros/jazzy",)))
    assert one.TOKEN == settings_of(venv, Ros()).TOKEN != other.TOKEN
    assert environment(one, {})[GUARD] == one.TOKEN


@pytest.fixture
def started(tmp_path):
    """A function that runs code behind a bootstrap whose settings are given, and returns its words."""
    settings = tmp_path / "settings.py"
    settings.write_text(
        "ISOLATED = True\nPREFIXES = ['/workspace']\nLIBRARIES = ['/workspace/lib']\nMODULES = []\n"
        "VARIABLES = {'RMW_IMPLEMENTATION': 'x'}\nSITE_FOLDERS = ['/workspace/modules']\nTOKEN = 'token'\n"
    )
    starts = tmp_path / "starts"

    def run(code: str, **environ: str) -> list[str]:
        program = (
            f"import os, sys; sys.path[:0] = [{str(SCRIPTS)!r}, {str(tmp_path)!r}]\n"
            f"open({str(starts)!r}, 'a').write('.')\n"
            "from workspace import bootstrap; import settings; bootstrap.start(settings)\n" + code
        )
        starts.write_text("")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, "argument"],
            env={"PATH": "/usr/bin", **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        return [str(len(starts.read_text())), *done.stdout.split()]

    return run


SHOW = "print(os.environ.get('LD_LIBRARY_PATH', '-'), sys.argv[1], sys.path[-1] == '/workspace/modules')"


def test_python_starts_twice_and_its_children_once(started):
    assert started(SHOW) == ["2", "/workspace/lib", "argument", "True"]
    assert started(SHOW, **{GUARD: "token"}) == ["1", "-", "argument", "True"]
    assert started(SHOW, **{GUARD: "of another workspace"}) == ["2", "/workspace/lib", "argument", "True"]


def test_the_bootstrap_can_be_turned_off(started):
    assert started(SHOW, POSE_WORKSPACE_BOOTSTRAP="0") == ["1", "-", "argument", "False"]


def test_the_pth_file_comes_before_the_wheels_own(venv):
    names = [*launcher.bootstrap_files(""), "ros_wheels_bootstrapper.pth"]
    assert sorted(name for name in names if name.endswith(".pth"))[0] == f"{launcher.BOOTSTRAP}.pth"


def test_a_command_runs_in_a_folder_with_blanks(tmp_path):
    folder = tmp_path / "with a blank"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    command = folder / "command"
    command.write_text(launcher.script_text(folder / "python", "json:dumps"))
    command.chmod(0o755)
    done = subprocess.run([str(command)], capture_output=True, text=True, check=False)
    assert "TypeError: dumps() missing 1 required positional argument" in done.stderr


def test_a_command_can_spawn_processes(tmp_path):
    (tmp_path / "spawning.py").write_text(
        "import multiprocessing\n"
        "def main():\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print, args=('spawned',))\n"
        "    process.start()\n"
        "    process.join(60)\n"
        "    return process.exitcode\n"
    )
    command = tmp_path / "command"
    command.write_text(launcher.script_text(Path(sys.executable), "spawning:main"))
    command.chmod(0o755)
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([str(command)], capture_output=True, text=True, check=False, env=environ)
    assert (done.returncode, done.stdout) == (0, "spawned\n"), done.stderr


@pytest.mark.parametrize("ours", [True, False])
def test_an_interrupt_while_a_command_starts_has_no_traceback(tmp_path, ours):
    """Python's own handler would print one; a script of somebody else keeps it."""
    script = tmp_path / ("install" if ours else "elsewhere") / "node"
    script.parent.mkdir()
    (tmp_path / "settings.py").write_text(
        f"ISOLATED = True\nPREFIXES = [{str(tmp_path / 'install')!r}]\nLIBRARIES = []\nMODULES = []\n"
        "VARIABLES = {}\nSITE_FOLDERS = []\nTOKEN = 'token'\n"
    )
    script.write_text(
        f"import os, signal, sys; sys.path[:0] = [{str(SCRIPTS)!r}, {str(tmp_path)!r}]\n"
        "from workspace import bootstrap; import settings; bootstrap.start(settings)\n"
        "assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "while True: pass\n"  # Python looks for signals as it goes on, and not at its end
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script)],
        env={"PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (0 if ours else -signal.SIGINT)
    assert ("KeyboardInterrupt" in done.stderr) is not ours
    assert done.stdout == ""


def test_commands_are_the_nodes_and_pose(tmp_path):
    settings = SimpleNamespace(PREFIXES=["/ws/install"])
    for words, code in (
        (["/ws/install/lib/viz/viz", "--ros-args"], 0),
        (["-X", "dev", f"{sys.prefix}/bin/pose"], None),
        (["-I", f"{sys.prefix}/bin/pose"], 130),
        ([f"{sys.prefix}/bin/pytest"], None),
        (["/ws/installed/viz"], None),
        ([], None),
    ):
        assert code_when_interrupted(settings, ["python", *words]) == code
