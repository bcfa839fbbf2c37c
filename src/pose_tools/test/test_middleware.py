"""Images between processes: the profile that ships, when it is set, and what the doctor measures and says."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from pose_tools import middleware
from pose_tools.cli import main as cli
from pose_tools.doctor import transport
from pose_tools.doctor.finding import OK, SKIPPED, WARN
from pose_tools.doctor.transport import Crossing, judge, measure, raw_images
from pose_tools.graph.workspace import config_file
from pose_tools.middleware import CHOSEN, VARIABLE, environment, shared_memory_free

PROFILE = Path("/there/fastdds.xml")
SPACE = "{http://www.eprosima.com}"
IMAGE_1080P = 1920 * 1080 * 3


@pytest.fixture(autouse=True)
def plenty_of_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(middleware, "shared_memory_free", lambda: middleware.ENOUGH)
    monkeypatch.chdir(tmp_path)


def test_the_profile_ships_with_room_for_images_and_a_way_to_other_machines() -> None:
    root = ElementTree.parse(config_file(middleware.PROFILE)).getroot()
    found = {one.findtext(f"{SPACE}type"): one for one in root.iter(f"{SPACE}transport_descriptor")}
    assert set(found) == {"SHM", "UDPv4"}
    assert int(found["SHM"].findtext(f"{SPACE}segment_size", "")) >= 5 * IMAGE_1080P
    assert int(found["SHM"].findtext(f"{SPACE}port_queue_capacity", "")) >= 10 * IMAGE_1080P // 65_500
    used = [one.text for one in root.iter(f"{SPACE}userTransports") for one in one]
    assert used == [one.findtext(f"{SPACE}transport_id") for one in found.values()]
    (participant,) = root.iter(f"{SPACE}participant")
    assert participant.get("is_default_profile") == "true"


def test_a_process_that_takes_the_place_of_a_dead_one_is_heard_soon() -> None:
    """By default others tell it 3 s later that they are there, and write for 1 s more to the memory of the dead one."""
    root = ElementTree.parse(config_file(middleware.PROFILE)).getroot()
    (announcement,) = root.iter(f"{SPACE}leaseAnnouncement")
    period = {one.tag.removeprefix(SPACE): int(one.text or "") for one in announcement}
    assert period["sec"] + period["nanosec"] / 1e9 <= 0.5
    (check,) = root.iter(f"{SPACE}healthy_check_timeout_ms")
    assert 100 < int(check.text or "") <= 250


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ({"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp", "ROS_DISTRO": "kilted"}, "FASTDDS_DEFAULT_PROFILES_FILE"),
        ({"ROS_DISTRO": "jazzy"}, "FASTRTPS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_the_profile_is_set_where_nobody_chose_under_the_name_that_is_read(
    given: dict[str, str], name: str
) -> None:
    """Fast DDS 3 complains about the former name."""
    assert environment({"HOME": "/", **given}, PROFILE) == {name: str(PROFILE)}


@pytest.mark.parametrize("given", [*CHOSEN, "RMW_IMPLEMENTATION"])
def test_what_a_user_chose_stays(given: str) -> None:
    assert environment({given: "rmw_cyclonedds_cpp"}, PROFILE) == {}


def test_a_profile_in_the_folder_stays() -> None:
    Path(middleware.OWN_FILE).touch()
    assert environment({}, PROFILE) == {}


def test_where_shared_memory_is_too_small_the_profile_would_do_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "shared_memory_free", lambda: 64 << 20)  # Docker's default
    assert environment({}, PROFILE) == {}
    monkeypatch.setattr(middleware, "SHARED_MEMORY", Path("/not/there"))
    assert shared_memory_free() == 0


def test_commands_with_nodes_set_it_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in CHOSEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli, "app", lambda *_, **__: seen.append(os.environ.get(VARIABLE, "")))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for command in ("export", "live"):
        monkeypatch.setattr("sys.argv", ["pose", command])
        with pytest.raises(SystemExit):
            cli.main()
    assert seen == ["", str(config_file(middleware.PROFILE))]


GOOD, BAD = Crossing(45, 44, 6.2), Crossing(45, 5, 40.0)


def test_enough_images_are_enough() -> None:
    assert (GOOD.good, BAD.good, Crossing(10, 9, 1.0).good, Crossing(0, 0, 0.0).good) == (
        True,
        False,
        True,
        False,
    )
    check = judge(GOOD, GOOD, {}, PROFILE)
    assert (check.level, check.detail) == (OK, "1280 x 720 at 30 Hz: 44 of 45 arrive, after 6 ms")


def test_where_the_profile_helps_the_remedy_is_to_give_it_to_the_driver() -> None:
    check = judge(BAD, GOOD, {}, PROFILE)
    assert check.level == WARN
    assert (
        "5 of 45 arrive, after 40 ms from a program started in this shell, 44 with our profile"
        in check.detail
    )
    assert f"export FASTDDS_DEFAULT_PROFILES_FILE={PROFILE}; or" in check.remedy


@pytest.mark.parametrize(
    ("given", "free", "remedy"),
    [
        ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, 1 << 40, "net.core.rmem_max"),
        ({}, 64 << 20, "--shm-size=1g"),
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, 1 << 40, "unset FASTDDS_BUILTIN_TRANSPORTS"),
        ({}, 1 << 40, "end what keeps this machine busy"),
    ],
)
def test_where_nothing_helps_the_remedy_fits_the_cause(
    given: dict[str, str], free: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "shared_memory_free", lambda: free)
    check = judge(BAD, BAD, given, PROFILE)
    assert (check.level, check.detail) == (WARN, "1280 x 720 at 30 Hz: 5 of 45 arrive, after 40 ms")
    assert check.remedy.startswith(remedy) or remedy in check.remedy


def test_two_that_do_not_meet_are_told() -> None:
    assert judge(None, None, {}, PROFILE).level == WARN


@pytest.mark.parametrize(("shell", "measured"), [(GOOD, 1), (BAD, 2)])
def test_the_profile_is_tried_only_where_images_are_lost(
    shell: Crossing, measured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CHOSEN:
        monkeypatch.delenv(name, raising=False)
    calls: list[tuple[Any, Any]] = []

    def played(sender: Any, receiver: Any) -> Crossing:
        calls.append((VARIABLE in sender, VARIABLE in receiver))
        return [shell, GOOD][len(calls) - 1]

    monkeypatch.setattr(transport, "measure", played)
    (check,) = raw_images()
    assert check.level == (OK if shell.good else WARN)
    assert calls == [(False, True), (True, True)][:measured]


def test_without_a_workspace_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Path:
        raise FileNotFoundError("not installed")

    monkeypatch.setattr("pose_tools.graph.workspace.config_file", missing)
    assert [check.level for check in raw_images()] == [SKIPPED]


def test_two_processes_measure_small_images() -> None:
    crossing = measure(os.environ, os.environ, (64, 48), 20.0, 0.2)
    assert crossing is not None
    assert crossing.sent == 4
    assert 0 <= crossing.received <= 4  # as many as this machine lets through


def test_a_sender_that_cannot_start_ends_the_measurement() -> None:
    broken = {**os.environ, "RMW_IMPLEMENTATION": "rmw_of_nobody"}
    assert measure(broken, os.environ, (64, 48), 20.0, 0.2) is None
