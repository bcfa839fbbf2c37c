"""TRC files: to the byte, read back, of other programs, and files that nobody should believe."""

from __future__ import annotations

import contextlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core import files
from pose_core.formats import trc
from pose_core.formats.rate import evenly
from pose_core.formats.trc import read_trc, write_trc
from pose_core.markers import MarkerSequence
from pose_core.reading import damage

NAN = float("nan")
PERIOD = 20_000_000


def sequence(xyz: object, start: int = 5_000_000_000, names: tuple[str, ...] = ()) -> MarkerSequence:
    """At 50 Hz."""
    positions = np.asarray(xyz, float)
    frames, count, _ = positions.shape
    stamps = start + PERIOD * np.arange(frames)
    return MarkerSequence(
        names or tuple(f"M{i}" for i in range(count)), stamps, positions, np.full((frames, count), NAN)
    )


TINY = sequence(
    [
        [[1.0, -2.5, 0.1234567], [0.0, 0.0, -1e-9]],
        [[NAN, 1.0, 2.0], [3.0, 4.0, 5.0]],
        [[1.0, 1.0, 1.0], [NAN, NAN, NAN]],
    ],
    names=("RHip", "Big Toe"),
)
GOLDEN = (
    b"PathFileType\t4\t(X/Y/Z)\tTiny \xc3\xa4.trc\n"
    b"DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
    b"50.000000\t50.000000\t3\t2\tm\t50.000000\t1\t3\n"
    b"Frame#\tTime\tRHip\t\t\tBig Toe\t\t\n"
    b"\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
    b"\n"
    b"1\t0.000000000\t1.000000\t-2.500000\t0.123457\t0.000000\t0.000000\t0.000000\n"
    b"2\t0.020000000\tnan\tnan\tnan\t3.000000\t4.000000\t5.000000\n"
    b"3\t0.040000000\t1.000000\t1.000000\t1.000000\tnan\tnan\tnan\n"
)


def text(
    rows: str, *, count: int = 2, frames: int = 2, units: str = "mm", names: str = "A\t\t\tB\t\t"
) -> str:
    """A file as Vicon Nexus writes it: millimetres, a tab at the end of rows, an empty line after the header."""
    axes = "\t".join(f"{axis}{i}" for i in range(1, count + 1) for axis in "XYZ")
    return (
        "PathFileType\t4\t(X/Y/Z)\tC:/take 1.trc\t\n"
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
        f"100.000000\t100.000000\t{frames}\t{count}\t{units}\t100.000000\t1\t{frames}\n"
        f"Frame#\tTime\t{names}\n"
        f"\t\t{axes}\n\n{rows}"
    )


ROWS = "1\t0.00\t100\t-200\t300.5\t1\t2\t3\t\n2\t0.01\t\t\t\t4\t5\t6\t\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "in.trc"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_to_the_byte(tmp_path: Path):
    write_trc(tmp_path / "Tiny ä.trc", TINY)
    assert (tmp_path / "Tiny ä.trc").read_bytes() == GOLDEN


def test_millimetres_and_the_time_of_the_recording(tmp_path: Path):
    write_trc(tmp_path / "a.trc", TINY, units="mm", origin=4_000_000_000)
    lines = (tmp_path / "a.trc").read_text().splitlines()
    assert lines[2].split("\t")[4:7] == ["mm", "50.000000", "51"]
    assert lines[6] == "51\t1.000000000\t1000.000\t-2500.000\t123.457\t0.000\t0.000\t0.000"


def test_every_row_has_as_many_fields_as_the_names_and_axes(tmp_path: Path):
    """What pandas, and with it Pose2Sim, needs to take no column for an index."""
    write_trc(tmp_path / "a.trc", TINY)
    lines = (tmp_path / "a.trc").read_text().split("\n")
    assert [line.count("\t") for line in (*lines[3:5], *lines[6:9])] == [7] * 5
    assert lines[5] == ""


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["m", "mm"]), st.integers(0, 2**60), st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    frames: int,
    count: int,
    units: str,
    start: int,
    data: st.DataObject,
):
    number = st.floats(-1e3, 1e3) | st.just(NAN)
    values = data.draw(st.lists(number, min_size=3 * frames * count, max_size=3 * frames * count))
    markers = sequence(np.reshape(values, (frames, count, 3)), start)
    path = tmp_path_factory.mktemp("trc") / "a.trc"
    write_trc(path, markers, units=units, rate_hz=50.0)
    back = read_trc(path)
    assert back.names == markers.names
    np.testing.assert_array_equal(back.missing, markers.missing)
    np.testing.assert_allclose(back.xyz[~back.missing], markers.xyz[~markers.missing], atol=5.1e-7)
    np.testing.assert_array_equal(back.stamps, markers.stamps - start)
    assert np.isnan(back.std).all()
    assert back.metadata == {"units": units, "rate_hz": 50.0}


def test_vicon_in_millimetres(tmp_path: Path):
    markers = read_trc(write(tmp_path, text(ROWS).replace("\n", "\r\n")))
    assert markers.names == ("A", "B")
    np.testing.assert_array_equal(markers.stamps, [0, 10_000_000])
    np.testing.assert_allclose(markers.xyz[0], [[0.1, -0.2, 0.3005], [0.001, 0.002, 0.003]], atol=1e-12)
    np.testing.assert_array_equal(markers.missing, [[False, False], [True, False]])
    assert markers.metadata == {"units": "mm", "rate_hz": 100.0}


def test_opensim_without_a_tab_at_the_end_and_times_that_start_late(tmp_path: Path):
    """In the layout of the synthetic markers that come with OpenSim's gait model."""
    content = (
        "PathFileType\t4\t(X/Y/Z)\tsubject01_synthetic_marker_data.trc\n"
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
        "60.000000\t60.000000\t3\t2\tm\t60.000000\t1\t3\n"
        "Frame#\tTime\t\tSternum\t\tR.Acromium\t\n"
        "\t\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
        "\n"
        "1\t0.4\t0.67076\t1.3961\t-0.025106\t0.55918\t1.5484\t0.12495\n"
        "2\t0.417\t0.66955\t1.3943\t-0.025094\t0.55839\t1.5469\t0.12491\n"
        "3\t0.433\t0.66798\t1.3926\t-0.024858\t0.55727\t1.5453\t0.12533\n"
    )
    markers = read_trc(write(tmp_path, content))
    np.testing.assert_array_equal(markers.stamps, [400_000_000, 417_000_000, 433_000_000])
    np.testing.assert_array_equal(markers.of("Sternum")[0], [0.67076, 1.3961, -0.025106])
    np.testing.assert_array_equal(markers.of("R.Acromium")[2], [0.55727, 1.5453, 0.12533])
    even = evenly(markers, 60.0)
    np.testing.assert_array_equal(even.stamps, [400_000_000, 416_666_667, 433_333_333])
    np.testing.assert_array_equal(even.xyz, markers.xyz)


def test_pose2sim_without_an_empty_line_and_with_empty_fields(tmp_path: Path):
    rows = "0\t0.0\t0.5\t1.0\t1.5\t\t\t\n1\t0.01\t\t\t\t2.5\t3.0\t3.5\n"
    content = text(rows, units="m").replace("\n\n", "\n")
    markers = read_trc(write(tmp_path, content))
    np.testing.assert_array_equal(markers.missing, [[False, True], [True, False]])
    np.testing.assert_array_equal(markers.xyz[1, 1], [2.5, 3.0, 3.5])


def test_trailing_fields_may_be_left_out(tmp_path: Path):
    markers = read_trc(write(tmp_path, text("1\t0\t1\t2\t3\n2\t0.01\t4\t5\t6\t7\t8\t9\n", units="m")))
    np.testing.assert_array_equal(markers.missing, [[False, True], [False, False]])


def test_a_number_of_frames_that_is_wrong_is_told(tmp_path: Path):
    path = write(tmp_path, text(ROWS, frames=40))
    with pytest.warns(UserWarning, match="states 40 frames and holds 2; it may be cut short"):
        assert len(read_trc(path)) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "first line must begin with PathFileType"),
        (b"\x7fELF\x00\xff\xfe" * 50, "first line must begin with PathFileType"),
        ("PathFileType\t4\n", "has five header lines, this has 1"),
        (text(ROWS, units="parsec"), "units 'parsec'; known are m, cm, mm"),
        (text(ROWS).replace("NumMarkers", "Markers"), "does not state NumMarkers"),
        (text(ROWS).replace("\t2\t2\tmm", "\t2\t999999999999\tmm"), "NumMarkers: must be a whole number"),
        (text(ROWS).replace("\t2\t2\tmm", "\t999999999999\t2\tmm"), "NumFrames: must be a whole number"),
        (text(ROWS).replace("\t2\t2\tmm", "\t2\t3\tmm"), "states 3 markers and names 2"),
        (text(ROWS).replace("\t2\t2\tmm", "\t2\t-2\tmm"), "NumMarkers: must be a whole number"),
        (text(ROWS).replace("\t2\t2\tmm", "\t2.5\t2\tmm"), "NumFrames: must be a whole number"),
        (text(ROWS, names="A\t\t\tA\t\t"), "names A more than once"),
        (text(ROWS).replace("Frame#", "Frames"), "line 4 must begin with Frame# and Time"),
        (text(ROWS).replace("Z2", ""), "line 5 must name X, Y and Z of 2 markers"),
        (text(""), "holds no frame"),
        (text("1\t0\t1\t2\t3\t4\n"), "line 7 has 6 fields, 8 are due to 2 markers"),
        (text("1\t0\t1\t2\t3\t4\t5\t6\t7\n"), "line 7 has 9 fields"),
        (text("1\t0\t1\t2\t3\t4\t5\t__import__('os')\n"), "line 7: '__import__"),
        (text("1\t0\t1\t2\t3\t4\t5\t1_0\n"), "line 7: '1_0' is no number"),
        (text("1\t0\t1\t2\t3\t4\t5\tinf\n"), "line 7: 'inf' is no number"),
        (text("1\t\t1\t2\t3\t4\t5\t6\n"), "a frame without a time"),
        (text("1\t1e300\t1\t2\t3\t4\t5\t6\n"), "a frame without a time"),
        (text("1\t0.5\t1\t2\t3\t4\t5\t6\n2\t0.5\t1\t2\t3\t4\t5\t6\n"), "0.5 s comes after 0.5 s"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*states 2 frames")
def test_what_is_no_such_file_says_why(tmp_path: Path, content: str | bytes, words: str):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match="in.trc") as raised:
        read_trc(path)
    assert words in str(raised.value)


@given(st.binary(max_size=400))
@settings(max_examples=50, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damage_raises_nothing_but_value_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes):
    whole_file = text(ROWS).encode()
    place = len(noise) * 7 % len(whole_file)
    path = write(
        tmp_path_factory.mktemp("trc"), whole_file[:place] + noise + whole_file[place + len(noise) :]
    )
    with contextlib.suppress(ValueError):
        assert len(read_trc(path)) > 0


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path, text(ROWS))
    monkeypatch.setattr("pose_core.formats.text.LONGEST_LINE", 60)
    with pytest.raises(ValueError, match="line 2 is longer than 60 characters"):
        read_trc(path)
    monkeypatch.undo()
    monkeypatch.setattr(trc, "MOST_FRAMES", 1)
    with pytest.raises(ValueError, match="whole number from 0 to 1, got '2'"):
        read_trc(path)
    with pytest.raises(ValueError, match="has more than 1 frames"):
        read_trc(write(tmp_path, text(ROWS, frames=1)))
    monkeypatch.setattr("pose_core.formats.text.LARGEST_FILE", 100)
    with pytest.raises(ValueError, match="more than the 100 that are read"):
        read_trc(path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_trc(tmp_path / "none.trc")
    with pytest.raises(ValueError, match="is no file"):
        read_trc(tmp_path)


def test_a_single_frame(tmp_path: Path):
    write_trc(tmp_path / "a.trc", sequence([[[1.0, 2.0, 3.0]]]))
    assert (tmp_path / "a.trc").read_text().splitlines()[2].startswith("1.000000\t1.000000\t1\t1\tm")
    write_trc(tmp_path / "a.trc", sequence([[[1.0, 2.0, 3.0]]]), rate_hz=29.97)
    assert (tmp_path / "a.trc").read_text().splitlines()[2].startswith("29.970000\t29.970000\t1\t1\tm")
    np.testing.assert_array_equal(read_trc(tmp_path / "a.trc").xyz, [[[1.0, 2.0, 3.0]]])


@pytest.mark.parametrize(
    ("markers", "options", "words"),
    [
        (sequence(np.zeros((0, 1, 3))), {}, "at least one frame"),
        (sequence(np.zeros((2, 0, 3))), {}, "at least one marker"),
        (sequence(np.zeros((2, 1, 3))), {"units": "cm"}, "must be m or mm, got 'cm'"),
        (sequence(np.zeros((2, 1, 3))), {"rate_hz": 0.0}, "rate_hz must be positive"),
        (sequence(np.zeros((2, 1, 3))), {"rate_hz": NAN}, "rate_hz must be positive"),
        (sequence(np.zeros((9, 1, 3))), {"rate_hz": 60.0}, "frame 1 is 0.20 frames off at 60 Hz"),
        (sequence(np.zeros((2, 1, 3)), names=("a\tb",)), {}, "printable name"),
        (sequence(np.zeros((2, 1, 3)), names=("a\n",)), {}, "printable name"),
        (sequence(np.zeros((2, 1, 3)), names=(" ",)), {}, "printable name"),
    ],
)
def test_what_cannot_be_written_says_why(
    tmp_path: Path, markers: MarkerSequence, options: dict[str, float | str], words: str
):
    with pytest.raises(ValueError, match=words):
        write_trc(tmp_path / "a.trc", markers, **options)
    assert not list(tmp_path.iterdir())


def test_lost_frames_are_refused(tmp_path: Path):
    stamps = PERIOD * np.array([0, 1, 2, 4, 5])
    markers = MarkerSequence(("A",), stamps, np.zeros((5, 1, 3)), np.zeros((5, 1)))
    with pytest.raises(ValueError, match="frame 3 is 1.00 frames off at 50 Hz; resample"):
        write_trc(tmp_path / "a.trc", markers)
    write_trc(tmp_path / "a.trc", evenly(markers))
    assert len(read_trc(tmp_path / "a.trc")) == 6


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.trc"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_trc(path, TINY)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.trc"]


def test_an_interruption_leaves_no_rubbish(tmp_path: Path):
    def pieces():
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_pieces(tmp_path / "a", pieces())
    assert not list(tmp_path.iterdir())


def test_pieces_make_the_file_that_the_whole_makes(tmp_path: Path):
    files.write_pieces(tmp_path / "a", [b"one", b"", b"two"])
    files.write_whole(tmp_path / "b", b"onetwo")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_short_rows_of_many_markers_take_no_more_than_the_file_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Four bytes may stand for 30 002 numbers, since markers at the end of a row may be left out."""
    count = 10_000
    names = "\t".join(f"M{i}\t\t" for i in range(count))
    axes = "\t".join(f"X{i}\tY{i}\tZ{i}" for i in range(1, count + 1))
    keys = "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits"
    head = f"PathFileType\t4\t(X/Y/Z)\ta.trc\n{keys}\n30\t30\t9000\t{count}\tm\nFrame#\tTime\t{names}\n\t\t{axes}\n\n"
    monkeypatch.setattr(damage, "LEAST_BUDGET", 1 << 20)
    (tmp_path / "a.trc").write_text(head + "".join(f"{i}\t{i}\n" for i in range(9000)))
    size = (tmp_path / "a.trc").stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than 10000 markers may have"):
            read_trc(tmp_path / "a.trc")
        assert tracemalloc.get_traced_memory()[1] < 3 * damage.budget(size) < 9000 * count * 24
    finally:
        tracemalloc.stop()
