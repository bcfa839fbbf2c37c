"""What the middleware needs to carry images between processes: our profile of Fast DDS, unless the user has set one.

Imports nothing of ROS, and must be asked before rclpy is initialised: Fast DDS reads its environment then.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

PROFILE = "fastdds.xml"
"""The file of config/."""

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
"""Where Fast DDS looks for profiles: from 3 on (ROS 2 Kilted), and before."""

CHOSEN = (*VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS", "FASTDDS_ENVIRONMENT_FILE")
"""Variables by which users choose transports themselves."""

OWN_FILE = "DEFAULT_FASTDDS_PROFILES.xml"
"""Fast DDS reads it where a program starts."""

SHARED_MEMORY = Path("/dev/shm")
ENOUGH = 256 << 20
"""Bytes free: segments of some seven processes.

Where one finds no room Fast DDS takes to the network, which is worse than its defaults.
"""


def to_set(given: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that are to name our profile, beside the environment `given`; none where it is not to be used.

    It is not for a user's own choice of transports, for another middleware, or where shared memory is too small, as in a
    container with Docker's 64 MB.
    """
    fast_dds = given.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps")
    if not fast_dds or any(given.get(name) for name in CHOSEN) or Path(OWN_FILE).exists():
        return ()
    return VARIABLES if shared_memory_free() >= ENOUGH else ()


def environment(given: Mapping[str, str], profile: Path) -> dict[str, str]:
    """What is to be set beside the environment `given`, so that images get through. `profile`: our `PROFILE`."""
    return dict.fromkeys(to_set(given), str(profile))


def shared_memory_free() -> int:
    """Free bytes of shared memory; 0 where there is none."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return 0
