"""What two runs of `golden.py` left, compared: files to the byte, bags and networks number by number.

    .venv/bin/python scripts/golden_values.py BEFORE AFTER [PART ...]

It reads with libraries of the environment alone, so that no code of either revision judges itself: bags by `rosbags` with the
definitions that they hold, networks by onnx and onnxruntime. What says when or where something was made (stage times, ids, model
cards) is left out.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Values = dict[str, np.ndarray]

TEXTS = (".trc", ".csv", ".mot", ".bvh", ".jsonl")
PEOPLE: Mapping[str, tuple[str, ...]] = {
    "pose2d/people": ("xy_px", "joint_confidence"),
    "lift3d/people": ("xyz", "std", "joint_confidence", "state"),
    "refine/people": ("xyz", "std", "joint_confidence", "state"),
    "refine/joint_angles": ("angle", "std", "flags"),
}
"""What is compared of everybody in a bag, by topic."""
ESSENTIAL = ("refine/people", "refine/joint_angles")
"""Topics without which a bag shows nothing."""
BAG = "metadata.yaml"
"""The file that makes a folder a bag."""
DIGEST = re.compile(r"-[0-9a-f]{16}\b")
"""In a file's name: says what it was made from, code included."""
NEXT = "next_"
"""Before the name of a network's input, that of the output to feed it in the next step."""
STEPS, BATCH = 12, 2
"""For how long, and for how many people at once, a network is run."""


@dataclass(frozen=True)
class Difference:
    """Between two results of one name."""

    file: str
    first: str
    """Where they begin to differ."""
    largest: str = ""
    """Largest difference of two numbers; empty where there is none to tell."""


def listed(folder: Path) -> dict[str, Path]:
    """Everything in a folder that is compared, by its name there without digests.

    Raises ValueError for two of one name, and where there is nothing.
    """
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        if file.name == BAG:
            path = file.parent
        elif file.is_file() and file.suffix in (*TEXTS, *FILES):
            path = file
        else:
            continue
        name = DIGEST.sub("", str(path.relative_to(folder)))
        if name in found:
            raise ValueError(
                f"{found[name]} and {path} would be compared as one; remove {folder} and run again"
            )
        found[name] = path
    if not found:
        raise ValueError(f"there is nothing to compare in {folder}; remove it and run again")
    return found


def compared(before: Path, after: Path) -> tuple[int, list[Difference]]:
    """How many results there are in two folders, and which of them differ."""
    old, new = listed(before), listed(after)
    names = sorted(old.keys() | new.keys())
    found = []
    for name in names:
        if name in old and name in new:
            found += list(differences(name, old[name], new[name]))
        else:
            found.append(Difference(name, f"only {'before' if name in old else 'after'}"))
    return len(names), found


def differences(name: str, before: Path, after: Path) -> Iterator[Difference]:
    """Between two files, or two bags."""
    if before.is_file() and before.read_bytes() == after.read_bytes():
        return
    if before.suffix in TEXTS:
        yield text_difference(name, before.read_bytes(), after.read_bytes())
        return
    read = FILES[before.suffix] if before.is_file() else values_of_bag
    found = list(value_differences(name, read(before), read(after)))
    if before.suffix == ".c3d":
        at = first_byte(before.read_bytes(), after.read_bytes())
        yield Difference(name, f"byte {at}", next((one.largest for one in found), ""))
    else:
        yield from found


def text_difference(name: str, before: bytes, after: bytes) -> Difference:
    """Of two texts that differ: the first line that does; the largest difference where they have equally many words."""
    old, new = (text.decode(errors="replace") for text in (before, after))
    lines = [
        (*pair, number) for number, pair in enumerate(zip(lines_of(old), lines_of(new), strict=False), 1)
    ]
    line = next((line for line in lines if line[0] != line[1]), None)
    if line is None:
        return Difference(name, f"{len(lines_of(old))} lines, then {len(lines_of(new))}")
    pairs = list(enumerate(zip(words_of(line[0]), words_of(line[1]), strict=False), 1))
    word = next((f", word {at}: {one!r} -> {other!r}" for at, (one, other) in pairs if one != other), "")
    first = f"line {line[2]}{word or f': {line[0][-20:]!r} -> {line[1][-20:]!r}'}"
    return Difference(name, first, largest(numbers_of(old), numbers_of(new)))


def lines_of(text: str) -> list[str]:
    """With their ends, which count as well."""
    return text.splitlines(keepends=True)


def words_of(text: str) -> list[str]:
    """What commas, blanks and braces separate."""
    return re.split(r"[\s,{}]", text)


def numbers_of(text: str) -> np.ndarray:
    """Every word as a number; NaN for those that are none."""
    return np.array([number(word) for word in words_of(text)])


def number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan


def first_byte(before: bytes, after: bytes) -> int:
    """Number of the first byte that differs, from 0 on."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))


def value_differences(name: str, before: Values, after: Values) -> Iterator[Difference]:
    """Between arrays of the same names; they are equal where type, shape and all bytes are."""
    for key in dict.fromkeys([*before, *after]):
        if key not in before or key not in after:
            yield Difference(name, f"{key} only {'before' if key in before else 'after'}")
            continue
        old, new = before[key], after[key]
        if (old.dtype, old.shape) != (new.dtype, new.shape):
            yield Difference(
                name, f"{key} is {old.dtype} {list(old.shape)}, then {new.dtype} {list(new.shape)}"
            )
        elif (wrong := unequal(old, new)).any():
            at = np.unravel_index(int(wrong.argmax()), old.shape)
            place = f"{key}{[int(i) for i in at]}: {old[at]} -> {new[at]}; {int(wrong.sum())} of {wrong.size}"
            yield Difference(name, place, largest(old, new))


def unequal(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Which entries of two arrays of one shape and type differ in any bit."""
    old, new = (
        np.frombuffer(array.tobytes(), np.uint8).reshape(*array.shape, array.dtype.itemsize)
        for array in (before, after)
    )
    return np.asarray((old != new).any(-1))


def largest(before: np.ndarray, after: np.ndarray) -> str:
    """Largest difference of numbers that both have; empty without any, or where there are not equally many."""
    if before.shape != after.shape or before.dtype.kind not in "fiub":
        return ""
    apart = np.abs(before.astype(float) - after.astype(float))
    return f"{np.nanmax(apart):.3g}" if np.isfinite(apart).any() else ""


def values_of_bag(folder: Path) -> Values:
    """Arrays (N, ...) over everybody in all images of a bag, by topic and field; `images` has stamps and how many people.

    Raises ValueError where nobody was refined, and for people without one of the fields.
    """
    from rosbags.highlevel import AnyReader

    found: Values = {}
    with AnyReader([folder]) as reader:
        for topic, fields in PEOPLE.items():
            images: list[tuple[int, int]] = []
            rows: dict[str, list[Any]] = {field: [] for field in fields}
            connections = [one for one in reader.connections if one.topic.strip("/") == topic]
            for connection, _, raw in reader.messages(connections) if connections else ():
                message: Any = reader.deserialize(raw, connection.msgtype)
                stamp = message.header.stamp
                images.append((stamp.sec * 10**9 + stamp.nanosec, len(message.people)))
                for person in message.people:
                    for field in fields:
                        if not hasattr(person, field):
                            raise ValueError(f"{folder}: people of {topic} have no field '{field}'")
                        rows[field].append(getattr(person, field))
            if topic in ESSENTIAL and not any(count for _, count in images):
                raise ValueError(f"{folder} has nobody on {topic}, so there is nothing to compare")
            found[f"{topic} images"] = np.array(images, np.int64).reshape(-1, 2)
            found |= {f"{topic} {field}": np.array(row) for field, row in rows.items()}
    return found


def values_of_network(file: Path) -> Values:
    """Initialisers of an ONNX file, and its outputs on numbers drawn from a fixed seed, each step with the state before."""
    import onnx
    import onnxruntime

    weights = onnx.load(file).graph.initializer
    found: Values = {f"weights {one.name}": onnx.numpy_helper.to_array(one) for one in weights}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    shapes = {one.name: (BATCH, *one.shape[1:]) for one in session.get_inputs()}
    names = [one.name for one in session.get_outputs()]
    state = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if NEXT + name in names}
    random = np.random.default_rng(0)
    told: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for _ in range(STEPS):
        seen = {
            name: random.standard_normal(shape).astype(np.float32)
            for name, shape in shapes.items()
            if name not in state
        }
        outputs = dict(zip(names, session.run(names, {**seen, **state}), strict=True))
        state = {name: outputs[NEXT + name] for name in state}
        for name, output in outputs.items():
            told[name].append(output)
    return found | {f"output {name}": np.stack(steps) for name, steps in told.items()}


def values_of_arrays(file: Path) -> Values:
    """Of an .npz file."""
    with np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def values_of_c3d(file: Path) -> Values:
    """The points of a C3D file."""
    import ezc3d

    return {"points": np.asarray(ezc3d.c3d(str(file))["data"]["points"])}


FILES: dict[str, Callable[[Path], Values]] = {
    ".onnx": values_of_network,
    ".npz": values_of_arrays,
    ".c3d": values_of_c3d,
}
"""What reads a file that is no text, by its ending."""


def table(found: list[Difference]) -> str:
    """One line for each difference, under a title."""
    rows = [("file", "first difference", "largest"), *((one.file, one.first, one.largest) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def main(arguments: list[str]) -> int:
    """Compare the named parts of two folders, or all that is in them; 0 where all is equal, 1 and a table where not."""
    if len(arguments) < 2:
        print("name two folders: golden_values.py BEFORE AFTER [PART ...]", file=sys.stderr)
        return 2
    before, after = (Path(argument) for argument in arguments[:2])
    try:
        counted, found = 0, []
        for part in arguments[2:] or [""]:
            count, differing = compared(before / part, after / part)
            counted += count
            found += [Difference(os.path.join(part, one.file), one.first, one.largest) for one in differing]
    except ValueError as error:
        print(f"golden: {error}", file=sys.stderr)
        return 2
    if found:
        print(table(found))
    files = len({one.file for one in found})
    print(
        f"golden: {files} of {counted} results differ"
        if found
        else f"golden: all {counted} results are equal"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
