"""The load table: its arithmetic, and what it starts."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from pose_msgs.msg import People3D, StageTimes

from pose_tools.bench import load
from pose_tools.bench.load import CAPACITY, Bench, Heard, composed, separate


def heard(seconds: float, *ages_ms: float, frames: int = 0, skipped: int = 0) -> Heard:
    one = Heard(seconds, list(ages_ms))
    one.frames["pose2d"], one.skipped["pose2d"] = frames, skipped
    return one


def test_rounds_add_up() -> None:
    total = Heard()
    total.add(heard(4.0, *[10.0] * 40, frames=40, skipped=0))
    total.add(heard(4.0, *[30.0] * 20, frames=20, skipped=60))
    assert total.rate_hz == 60 / 8.0
    assert (total.age_ms(50), total.age_ms(95)) == (10.0, 30.0)
    assert total.shares_skipped() == {"pose2d": 0.5}
    assert Heard().rate_hz == 0.0
    assert Heard().shares_skipped() == {}


def test_ratios_are_between_loads() -> None:
    said: list[str] = []
    rates = {CAPACITY: 20, 0.5: 10, 1.0: 20, 2.0: 19, 4.0: 18}
    found = {
        of: heard(1.0, *[20.0 + of] * rate, frames=rate, skipped=round(of)) for of, rate in rates.items()
    }
    table = load._table("composed", found, said.append)
    assert table["capacity_hz"] == 20.0
    assert table["rate at 4 over rate at 1"] == pytest.approx(0.9)
    assert table["age p50 at 4 over age at 0.5"] == pytest.approx(24.0 / 20.5)
    assert list(table["loads"]) == ["0.5", "1", "2", "4"]
    assert table["loads"]["4"]["offered_hz"] == 80.0
    assert table["loads"]["4"]["skipped"] == {"pose2d": pytest.approx(4 / 22)}
    assert said[-1].split(", ")[:2] == ["    4 x:  80.0 Hz in", " 18.0 Hz out"]


def status(frames: int, skipped: int) -> DiagnosticArray:
    values = [KeyValue(key="frames", value=str(frames)), KeyValue(key="skipped", value=str(skipped))]
    return DiagnosticArray(status=[DiagnosticStatus(name="pose2d: pipeline", values=values)])


def test_counts_are_those_since_the_first_diagnostics() -> None:
    bench = SimpleNamespace(heard=Heard(), _first={})
    for counts in ((100, 7), (110, 7), (130, 17)):
        Bench._on_diagnostics(bench, status(*counts))  # type: ignore[arg-type]
    assert (bench.heard.frames["pose2d"], bench.heard.skipped["pose2d"]) == (30, 10)


def test_the_age_is_from_the_capture_to_the_last_stage() -> None:
    bench = SimpleNamespace(heard=Heard())
    times = StageTimes(
        stage=["source", "pose2d", "refine"], start=[0, 9_000_000, 30_000_000], end=[4, 5, 42_000_000]
    )
    Bench._on_refined(bench, People3D(times=times))  # type: ignore[arg-type]
    assert bench.heard.ages_ms == [42.0]


class Camera(Bench):
    """Only counts what it takes."""

    def __init__(self) -> None:
        self.heard, self.shots = Heard(), 0

    def shoot(self) -> None:
        self.shots += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(monotonic=lambda: now.at, at=100.0)
    monkeypatch.setattr(load, "time", now)
    return now


def test_a_camera_of_a_rate_takes_images_when_they_are_due(clock: SimpleNamespace) -> None:
    camera = Camera()
    tick = camera.at(4.0)
    assert tick() == 0.25
    clock.at += 0.125
    assert tick() == 0.125
    clock.at += 0.125
    assert tick() == 0.25
    assert camera.shots == 2
    clock.at += 10.0  # of what it was not asked for, it makes up for one image
    assert [tick() for _ in range(3)] == [-0.25, 0.0, 0.25]
    assert camera.shots == 5


def test_a_camera_that_follows_has_two_images_inside(clock: SimpleNamespace) -> None:
    camera = Camera()
    camera.heard.ages_ms = [1.0] * 5
    tick = camera.follow()
    for _ in range(3):
        tick()
    assert camera.shots == 2
    camera.heard.ages_ms.append(1.0)
    tick()
    assert camera.shots == 3
    camera.heard = Heard()  # measuring begins
    tick()
    assert camera.shots == 3
    camera.heard.ages_ms.append(1.0)
    tick()
    assert camera.shots == 4
    clock.at += 1.1  # both are lost
    tick()
    assert camera.shots == 6


def test_stages_get_their_parameters() -> None:
    values = {"pose2d": {"source": "images", "real_time": True, "image_rate_hz": 12.5}}
    commands = separate(values)
    assert [command[0] for command in commands] == [
        "pose2d_node",
        "lift3d_node",
        "refine_node",
        "pose_viz",
    ]
    assert commands[0] == [
        *("pose2d_node", "--ros-args", "-p", "source:=images"),
        *("-p", "real_time:=true", "-p", "image_rate_hz:=12.5"),
    ]
    assert commands[1] == ["lift3d_node"]
    (command,) = composed("single")(values)
    assert command[:2] == ["pose_tools.bench.composed", "single"]
    assert json.loads(command[2]) == values
