"""Makes every start of the virtual environment's Python know ROS 2 and this workspace, with nothing sourced.

Set-up copies this file into the environment, where a .pth file imports it at each start. Library paths count only
from the start of a process, so the first start sets the environment and executes itself again, once; its children
inherit the result. POSE_WORKSPACE_BOOTSTRAP=0 turns it off.

Only modules that Python has loaded by then, or has built in, are imported here, so that a start stays cheap.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # built in, and known to no stubs
import os
import sys

GUARD = "_POSE_WORKSPACE"


def environment(settings, environ):
    """The variables to change, as a dict, before this Python can run ROS 2.

    `settings` has the attributes that `launcher.settings_text` writes. With `ISOLATED` (wheels), paths of another
    ROS 2 that happens to be sourced are dropped, because libraries of two distributions in one process crash.
    """
    prefixes = _split(environ.get("AMENT_PREFIX_PATH"))
    foreign = [prefix for prefix in prefixes if prefix not in settings.PREFIXES] if settings.ISOLATED else []
    changes = {GUARD: settings.TOKEN, **settings.VARIABLES}
    for name, ours in (
        ("AMENT_PREFIX_PATH", settings.PREFIXES),
        ("LD_LIBRARY_PATH", settings.LIBRARIES),
        ("PYTHONPATH", settings.MODULES),
    ):
        theirs = [
            path for path in _split(environ.get(name)) if not any(_is_below(path, other) for other in foreign)
        ]
        merged = list(dict.fromkeys([*ours, *theirs]))
        if merged or name in environ:
            changes[name] = os.pathsep.join(merged)
    return changes


def _split(value):
    return [entry for entry in (value or "").split(os.pathsep) if entry]


def _is_below(path, folder):
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def start(settings):
    """Called once per process: execute again with the right environment, or add the workspace's modules."""
    if os.environ.get("POSE_WORKSPACE_BOOTSTRAP") == "0":
        return
    code = code_when_interrupted(settings, sys.orig_argv)
    if code is not None:
        # Until the command has handlers of its own, Ctrl-C ends the process without a traceback.
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(code))
    if os.environ.get(GUARD) != settings.TOKEN:
        os.environ.update(environment(settings, os.environ))
        if code is not None:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGINT])
        os.execve(sys.executable, sys.orig_argv, os.environ)
    if code is not None:
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGINT])
    sys.path.extend(settings.SITE_FOLDERS)


def code_when_interrupted(settings, arguments):
    """What a process with these `arguments` exits with on Ctrl-C while it starts; None for anything but our commands.

    A node of this workspace exits with 0, as when it runs (`pose_core.system.signals`), `pose` with 130.
    """
    script = os.path.abspath(next((word for word in arguments[1:] if not word.startswith("-")), ""))
    if _is_below(script, settings.PREFIXES[0]):
        return 0
    return 130 if script == os.path.join(sys.prefix, "bin", "pose") else None
