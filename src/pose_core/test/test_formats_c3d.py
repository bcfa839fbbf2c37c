"""C3D files: read back by the library and by hand, and files that nobody should believe."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from pathlib import Path

import ezc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core import files
from pose_core.formats import c3d
from pose_core.formats.c3d import read_c3d, write_c3d
from pose_core.markers import MarkerSequence
from pose_core.reading import damage

NAN = float("nan")


def sequence(
    frames: int = 4, count: int = 3, start: int = 0, names: tuple[str, ...] = (), rate_hz: float = 30.0
) -> MarkerSequence:
    xyz = np.random.default_rng(0).uniform(-3.0, 3.0, (frames, count, 3))
    stamps = start + np.rint(np.arange(frames) * (1e9 / rate_hz)).astype(np.int64)
    names = names or tuple(f"M{i}" for i in range(count))
    return MarkerSequence(names, stamps, xyz, np.full((frames, count), NAN))


def with_gaps() -> MarkerSequence:
    markers = sequence()
    markers.xyz[1, 2] = NAN
    markers.xyz[3, 0, 1] = NAN
    return markers


def test_the_bytes_that_other_readers_look_at(tmp_path: Path):
    """By the C3D user guide: first block, then points as four floats, the last of them the residual."""
    markers = with_gaps()
    write_c3d(tmp_path / "a.c3d", markers)
    content = (tmp_path / "a.c3d").read_bytes()
    parameters, magic, points, analogs, first, last, _, scale, data, _, rate = struct.unpack_from(
        "<BBHHHHHfHHf", content
    )
    assert (parameters, magic, points, analogs, first, last, rate) == (2, 0x50, 3, 0, 1, 4, 30.0)
    assert scale < 0.0, "numbers are floats"
    assert content[512 + 3] == 84, "Intel"
    for text in (b"\x02\x03M0M1M2", b"\x02mm", b"\x02+X", b"\x02+Y"):
        assert text in content
    table = np.frombuffer(content, "<f4", 4 * 3 * 4, (data - 1) * 512).reshape(4, 3, 4)
    np.testing.assert_array_equal(table[[1, 3], [2, 0]], [[0.0, 0.0, 0.0, -1.0]] * 2)
    there = ~markers.missing
    np.testing.assert_allclose(table[there][:, :3], 1e3 * markers.xyz[there], rtol=1e-7)
    np.testing.assert_array_equal(table[there][:, 3], 0.0)


def test_read_by_the_library(tmp_path: Path):
    markers = with_gaps()
    write_c3d(tmp_path / "a.c3d", markers, units="m", origin=-10_000_000_000)
    file = ezc3d.c3d(str(tmp_path / "a.c3d"))
    point = file["parameters"]["POINT"]
    assert point["UNITS"]["value"] == ["m"]
    assert point["RATE"]["value"] == [30.0]
    assert point["FRAMES"]["value"] == [4]
    assert point["LABELS"]["value"] == ["M0", "M1", "M2"]
    assert point["DESCRIPTIONS"]["value"] == ["estimated from video"] * 3
    assert file["header"]["points"]["first_frame"] == 300
    points = file["data"]["points"][:3].transpose(2, 1, 0)
    np.testing.assert_array_equal(np.isnan(points).all(-1), markers.missing)
    np.testing.assert_allclose(points[~markers.missing], markers.xyz[~markers.missing], rtol=1e-7)


@given(
    st.integers(1, 40),
    st.integers(1, 70),
    st.sampled_from(["m", "mm"]),
    st.sampled_from([25.0, 29.97, 120.0]),
    st.integers(0, 500),
)
@settings(max_examples=25, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, frames: int, count: int, units: str, rate_hz: float, first: int
):
    markers = sequence(frames, count, rate_hz=rate_hz)
    markers.xyz[frames // 2, count // 2] = NAN
    path = tmp_path_factory.mktemp("c3d") / "a.c3d"
    write_c3d(path, markers, units=units, rate_hz=rate_hz, origin=-round(first * 1e9 / rate_hz))
    back = read_c3d(path)
    assert back.names == markers.names
    np.testing.assert_array_equal(back.missing, markers.missing)
    np.testing.assert_allclose(back.xyz[~back.missing], markers.xyz[~markers.missing], rtol=2e-7)
    expected = np.rint((first + np.arange(frames)) / np.float32(rate_hz) * 1e9)
    np.testing.assert_allclose(back.stamps, expected, rtol=0, atol=2000)


def test_whole_numbers_with_a_scale_and_analog_samples(tmp_path: Path):
    """As older systems write it: 16 bit, a negative residual where a point is missing, analog samples between frames."""

    def parameter(name: bytes, values: bytes) -> bytes:
        return struct.pack("<bb", len(name), 1) + name + struct.pack("<h", 2 + len(values)) + values

    block = b"\x01\x50\x02\x54" + b"\x05\xffPOINT\x03\x00\x00"
    block += parameter(b"LABELS", b"\xff\x02\x04\x02LKNERKNE")
    block += parameter(b"UNITS", b"\xff\x01\x04mm  ")
    block += parameter(b"RATE", b"\x04\x00" + struct.pack("<f", 200.0)) + bytes(4)
    header = struct.pack("<BBHHHHHfHHf", 2, 0x50, 2, 3, 11, 12, 10, 0.5, 3, 1, 200.0)
    frames = [[100, -200, 300, 0, 2, 4, 6, 7, 9, 9, 9], [102, -202, 302, 0, 0, 0, 0, -1, 9, 9, 9]]
    data = struct.pack("<22h", *frames[0], *frames[1])
    (tmp_path / "a.c3d").write_bytes(b"".join(part.ljust(512, b"\0") for part in (header, block, data)))
    markers = read_c3d(tmp_path / "a.c3d")
    assert markers.names == ("LKNE", "RKNE")
    np.testing.assert_array_equal(markers.stamps, [50_000_000, 55_000_000])
    expected = [[[0.05, -0.1, 0.15], [0.001, 0.002, 0.003]], [[0.051, -0.101, 0.151], [NAN] * 3]]
    np.testing.assert_allclose(markers.xyz, expected, rtol=1e-12)


def test_the_same_markers_give_the_same_bytes(tmp_path: Path):
    write_c3d(tmp_path / "a.c3d", sequence())
    write_c3d(tmp_path / "b.c3d", sequence())
    assert (tmp_path / "a.c3d").read_bytes() == (tmp_path / "b.c3d").read_bytes()


def test_points_that_are_no_positions_are_left_out(tmp_path: Path):
    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["RATE"]["value"], point["UNITS"]["value"] = [50.0], ["cm"]
    point["LABELS"]["value"] = ["LASI", "LKneeAngles"]
    file.add_parameter("POINT", "ANGLES", ["LKneeAngles"])
    file["data"]["points"] = np.ones((4, 2, 3))
    file.write(str(tmp_path / "a.c3d"))
    markers = read_c3d(tmp_path / "a.c3d")
    assert markers.names == ("LASI",)
    np.testing.assert_allclose(markers.xyz, 0.01)
    np.testing.assert_array_equal(markers.stamps, [0, 20_000_000, 40_000_000])


@pytest.mark.parametrize(
    ("markers", "options", "words"),
    [
        (sequence(0), {}, "at least one frame"),
        (sequence(2, 0), {}, "at least one marker"),
        (sequence(), {"units": "inch"}, "must be m or mm, got 'inch'"),
        (sequence(2, 256), {}, "at most 255 markers, got 256"),
        (sequence(names=("a", "b", "ü")), {}, "1 to 127 ASCII characters, got 'ü'"),
        (sequence(names=("a", "b", " ")), {}, "1 to 127 ASCII characters"),
        (sequence(names=("a", "b", "c" * 128)), {}, "1 to 127 ASCII characters"),
        (sequence(), {"origin": 10**9}, "numbered from 1 to 65535, got -29 to -26"),
        (
            sequence(),
            {"origin": -(10**13)},
            "numbered from 1 to 65535, got 300001 to 300004; write it in parts",
        ),
        (sequence(), {"rate_hz": 60.0}, "frames off at 60 Hz"),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path: Path, markers: MarkerSequence, options, words: str):
    with pytest.raises(ValueError, match=words):
        write_c3d(tmp_path / "a.c3d", markers, **options)
    assert not list(tmp_path.iterdir())


def changed(tmp_path: Path, place: int, new: bytes) -> Path:
    write_c3d(tmp_path / "a.c3d", sequence())
    content = (tmp_path / "a.c3d").read_bytes()
    (tmp_path / "a.c3d").write_bytes(content[:place] + new + content[place + len(new) :])
    return tmp_path / "a.c3d"


@pytest.mark.parametrize(
    ("place", "new", "words"),
    [
        (1, b"\x00", "does not begin like one"),
        (0, b"\xff", ""),
        (0, b"\x00", "not in Intel's byte order"),
        (2, b"\x00\x00", "states frames 1 to 4 of 0 points"),
        (8, b"\x00\x00", "states frames 1 to 0"),
        (2, b"\xff\xff", "was cut short"),
        (8, b"\xff\xff", "was cut short"),
        (16, b"\xff\xff", "was cut short"),
        (515, b"\x56", "not in Intel's byte order"),
    ],
)
def test_a_header_that_lies_says_why(tmp_path: Path, place: int, new: bytes, words: str):
    with pytest.raises(ValueError, match=rf"a\.c3d is no whole C3D file: .*{words}"):
        read_c3d(changed(tmp_path, place, new))


def test_what_is_no_such_file_says_why(tmp_path: Path):
    for content in (b"", b"text", b"\x02\x50" + bytes(100), bytes(10_000)):
        (tmp_path / "a.c3d").write_bytes(content)
        with pytest.raises(ValueError, match="is no whole C3D file"):
            read_c3d(tmp_path / "a.c3d")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_c3d(tmp_path / "none.c3d")


@given(st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_a_file_that_was_cut_says_so(tmp_path_factory: pytest.TempPathFactory, percent: int):
    path = tmp_path_factory.mktemp("c3d") / "a.c3d"
    write_c3d(path, sequence(40, 10))
    content = path.read_bytes()
    path.write_bytes(content[: (len(content) - 512) * percent // 101])
    with pytest.raises(ValueError, match="is no whole C3D file"):
        read_c3d(path)


def test_units_that_nobody_knows_say_so(tmp_path: Path):
    write_c3d(tmp_path / "a.c3d", sequence())
    content = (tmp_path / "a.c3d").read_bytes()
    assert content.count(b"mm") == 1
    (tmp_path / "a.c3d").write_bytes(content.replace(b"mm", b"ly"))
    with pytest.raises(ValueError, match="units 'ly' are none of m, cm, mm"):
        read_c3d(tmp_path / "a.c3d")


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_c3d(tmp_path / "a.c3d", sequence())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kept", [0, 100, 600, 2000])
def test_a_full_disk_that_the_library_hides_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
):
    whole = c3d.Path.read_bytes
    monkeypatch.setattr(c3d.Path, "read_bytes", lambda path: whole(path)[:kept])
    with pytest.raises(OSError, match="the disk is full"):
        write_c3d(tmp_path / "a.c3d", sequence(40, 10))
    assert not list(tmp_path.iterdir())


@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_damage_raises_nothing_but_value_error(
    tmp_path_factory: pytest.TempPathFactory, faults: list[tuple[int, int]]
):
    path = tmp_path_factory.mktemp("c3d") / "a.c3d"
    write_c3d(path, sequence())
    content = bytearray(path.read_bytes())
    for place, value in faults:
        content[place] = value
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        assert len(read_c3d(path)) > 0


def parameter(name: bytes, values: bytes) -> bytes:
    return struct.pack("<bb", len(name), 1) + name + struct.pack("<h", 2 + len(values)) + values


def written(path: Path, points: int, parameters: bytes) -> Path:
    """One frame of `points` points with the given parameters of the group POINT."""
    block = b"\x01\x50\x02\x54" + b"\x05\xffPOINT\x03\x00\x00" + parameters
    block += bytes(-len(block) % 512)
    header = struct.pack("<BBHHHHHfHHf", 2, 0x50, points, 0, 1, 1, 10, -1.0, 2 + len(block) // 512, 1, 200.0)
    path.write_bytes(header.ljust(512, b"\0") + block + bytes(16 * points))
    return path


RATE_AND_UNITS = parameter(b"UNITS", b"\xff\x01\x04mm  ") + parameter(
    b"RATE", b"\x04\x00" + struct.pack("<f", 200.0)
)


def test_ever_so_many_equal_names_are_refused_in_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A megabyte with 65,025 equal names took two minutes; each is now looked at once, by `expect_once`."""
    given_names: list[int] = []

    def counted(names, what):
        given_names.append(len(names))
        damage.expect_once(names, what)

    monkeypatch.setattr(c3d, "expect_once", counted)
    # the last parameter says by its step of 0 that no other follows
    labels = (
        struct.pack("<bb", 6, 1) + b"LABELS" + struct.pack("<h", 0) + b"\xff\x03\x01\xff\xff" + b"M" * 255**2
    )
    path = written(tmp_path / "a.c3d", 255**2, RATE_AND_UNITS + labels)
    with pytest.raises(ValueError, match=r"a.c3d is no whole C3D file: it names M more than once"):
        read_c3d(path)
    assert given_names == [255**2]


def test_parameters_that_overlap_take_no_more_than_the_file(tmp_path: Path):
    """Thousands of parameters, 20 bytes apart, each of which claims the 60 000 bytes that follow."""
    hungry = b"".join(
        struct.pack("<bb", 2, 1)
        + f"{i:02x}"[-2:].encode()
        + struct.pack("<h", 18)
        + b"\x04\x02\xff\x3c"
        + bytes(12)
        for i in range(6000)
    )
    path = written(tmp_path / "a.c3d", 1, RATE_AND_UNITS + hungry + bytes(4))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="its parameters are more than the file holds"):
            read_c3d(path)
        assert tracemalloc.get_traced_memory()[1] < 100 * path.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [b"\xff", b"\x01", b"\x02", b"\x04", b"\x09"])
def test_a_parameter_of_more_values_than_can_be_counted_is_refused(tmp_path: Path, kind: bytes):
    """255 dimensions of 255 each made an OverflowError."""
    huge = parameter(b"X", kind + b"\xff" + b"\xff" * 255)
    with pytest.raises(ValueError, match="a.c3d is no whole C3D file: its parameters go beyond its end"):
        read_c3d(written(tmp_path / "a.c3d", 1, RATE_AND_UNITS + huge))
