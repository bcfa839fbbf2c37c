"""What the middleware needs to carry images between processes: our profile of Fast DDS, unless the user has set one.

Imports nothing of ROS, and must be asked before rclpy is initialised: Fast DDS reads its environment then.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

PROFILE = "fastdds.xml"
"""The file of config/."""

VARIABLE, FORMER_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
"""Where Fast DDS looks for profiles: from version 3 on, which complains about the other one, and before."""

FORMER_DISTROS = ("humble", "iron", "jazzy")
"""Distributions of ROS 2 whose Fast DDS is older than version 3."""

CHOSEN = (VARIABLE, FORMER_VARIABLE, "FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_ENVIRONMENT_FILE")
"""Variables by which users choose transports themselves."""

OWN_FILE = "DEFAULT_FASTDDS_PROFILES.xml"
"""Fast DDS reads it where a program starts."""

SHARED_MEMORY = Path("/dev/shm")
ENOUGH = 256 << 20
"""Bytes free: segments of some seven processes.

Where one finds no room Fast DDS takes to the network, which is worse than its defaults.
"""


def variable(given: Mapping[str, str]) -> str:
    """The variable that names a profile to Fast DDS in the environment `given`."""
    return FORMER_VARIABLE if given.get("ROS_DISTRO") in FORMER_DISTROS else VARIABLE


def helps(given: Mapping[str, str]) -> bool:
    """Whether our profile is to be set beside the environment `given`.

    It is not for a user's own choice of transports, for another middleware, or where shared memory is too small, as in a
    container with Docker's 64 MB.
    """
    fast_dds = given.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps")
    chosen = any(given.get(name) for name in CHOSEN) or Path(OWN_FILE).exists()
    return fast_dds and not chosen and shared_memory_free() >= ENOUGH


def environment(given: Mapping[str, str], profile: Path) -> dict[str, str]:
    """What is to be set beside the environment `given`, so that images get through. `profile`: our `PROFILE`."""
    return {variable(given): str(profile)} if helps(given) else {}


def shared_memory_free() -> int:
    """Free bytes of shared memory; 0 where there is none."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return 0
