"""Does what is checked out compute the same as the revision REV? Both run on this machine and are compared to the byte.

    python3 scripts/golden.py REV --data FOLDER     all of it; FOLDER holds the motion capture packs
    python3 scripts/golden.py REV                   without training, which is said
    make golden REV=main DATA=FOLDER                the same

Each revision is set up with `make setup-train` and runs by its own `.venv/bin/pose`:

- the demo: 2D, lifted and refined people and joint angles of its bag;
- `pose process` of camera 1 of both demo sets, and `pose export` of the bags that this leaves, with and without augmentation:
  every TRC, CSV, MOT, C3D and BVH file, and the bags;
- a few steps of training for each family of networks: the people that refiners learn from, what was measured, the weights of the
  exported ONNX file and what it computes. Model cards may differ.

Files are compared to the byte, and so are numbers in bags and networks: see `golden_values.py`. Exit status 0: all is equal;
1: something differs, with a table; 2: it could not be found out.

REV is unpacked into the cache, and what it left is kept there by its commit: the next comparison with REV runs only what is
checked out. That is run in place, as it is, committed or not; its results are kept in .setup/golden until a file changes. A run
that was interrupted goes on with the part that it was in. `--again` keeps nothing. Results hold for the machine that they come
from, and another machine makes its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workspace.bootstrap import GUARD
from workspace.main import ROOT, assets, tell
from workspace.steps import SetUpError, Shell, digest_of, exclusive

VIDEOS = {name: f"Demo_{name}Person/videos/cam01.mp4" for name in ("Single", "Multi")}
PACKS = ("cmu_mocap_train.npz", "cmu_mocap_val.npz")
"""Files that training reads."""
TRAINING = ("--data", "{data}", "--device", "cpu", "--threads", "1", "--seed", "1")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Lifting what refiners learn from is a quarter faster so, and does not depend on the number of cores."""
MADE = "made.json"
"""In the folder of a part that is complete: what it was made from."""
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
"""Variables by which `make golden` would speak to the `make` of set-up."""


class Unknown(Exception):
    """It could not be found out whether the two are the same; the message is a sentence that says why."""


@dataclass(frozen=True)
class Part:
    """What is run in one folder, all or nothing."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    """Words after `pose`; {data} and the names of `VIDEOS` in braces stand for where these are."""
    leaves: tuple[str, ...]
    """Patterns of files without which it did not do what it should."""
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether it needs the motion capture packs."""
        return any("{data}" in words for words in self.commands)


def processed(name: str, *options: str) -> Part:
    """A video through `pose process` and its bag through `pose export`."""
    process = ("process", f"{{{name}}}", "--out", "process", "--no-overlay", *options)
    exports = (("export",), ("augmented", "--augment"))
    return Part(
        f"process_{name.lower()}",
        (process, *(("export", "process/bag", "--out", *words) for words in exports)),
        (
            "process/*.trc",
            "process/**/*.csv",
            "process/bag/metadata.yaml",
            *(f"{out}/*.{ending}" for out, *_ in exports for ending in ("trc", "c3d", "mot", "bvh", "csv")),
        ),
    )


PARTS = (
    Part("demo", (("demo", "--out", "demo"),), ("demo/bag/metadata.yaml",)),
    processed("Single"),
    processed(
        "Multi",
        *("--num-poses", "2", "--height", "1.8", "--camera-pitch-deg", "4"),
        *("--joint-refinement", "--estimate-missing"),
    ),
    Part(
        "train_lifter",
        (("train", "lifter", "--out", "lifter", "--steps", "20", *TRAINING),),
        ("lifter/*.onnx", "lifter/*.jsonl"),
        ONE_THREAD,
    ),
    # One part, because both learn from the same people, whose lifting takes nearly all of the time.
    Part(
        "train_refiner_and_angles",
        (
            ("train", "refiner", "--out", "refiner", "--steps", "10", *TRAINING),
            ("train", "angles", "--out", "angles", "--steps", "10", *TRAINING),
        ),
        ("cache/**/*.npz", "refiner/*.onnx", "refiner/*.jsonl", "angles/*.onnx", "angles/*.jsonl"),
        {**ONE_THREAD, "POSE_CACHE_DIR": "cache"},
    ),
)


@dataclass(frozen=True)
class Tree:
    """A revision, unpacked or checked out."""

    name: str
    root: Path
    results: Path
    """Folder with one for each part."""
    commit: str = ""
    """Empty: the files are as they are, committed or not."""

    @property
    def pose(self) -> Path:
        return self.root / ".venv" / "bin" / "pose"

    def state(self) -> str:
        """Changes with any file that git knows or would be told of."""
        if self.commit:
            return self.commit
        listed = git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        files = [self.root / name for name in sorted(set(listed.split("\0"))) if name]
        return digest_of(*(part for file in files if file.is_file() for part in (str(file), file)))


@dataclass(frozen=True)
class Surroundings:
    """What results depend on besides the revision, and where it is."""

    machine: Mapping[str, str]
    packs: Mapping[str, str]
    """Digests of the motion capture packs, by name."""
    places: Mapping[str, str]
    """What stands for the names in braces of a part's commands."""


def environ(**extra: str) -> dict[str, str]:
    """For the programs that are run."""
    return {name: value for name, value in os.environ.items() if name not in OF_MAKE} | extra


def git(root: Path, *words: str) -> str:
    """What git says. Raises Unknown with its complaint."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unknown(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def commit_of(root: Path, revision: str) -> str:
    """The commit that a revision names. Raises Unknown for one that is not there."""
    try:
        return git(root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").strip()
    except Unknown:
        raise Unknown(f"there is no revision '{revision}' here; name a commit, branch or tag") from None


def unpacked(root: Path, commit: str, folder: Path, shell: Shell) -> Path:
    """The files of a commit in a folder of their own, whole or not at all."""
    tree = folder / "tree"
    if not tree.is_dir():
        part = folder / ".tree.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        archive = part / "archive.tar"
        git(root, "archive", "--format=tar", f"--output={archive}", commit)
        shell(["tar", "-xf", archive], "the revision could not be unpacked", environ(), part)
        archive.unlink()
        part.rename(tree)
    return tree


def set_up(tree: Tree, python: str, shell: Shell) -> None:
    """Bring the revision's environment up to date; `python` makes it where there is none."""
    tell(f"setting up {tree.name} ... ")
    start = time.monotonic()
    command = ["make", "--no-print-directory", "setup-train", f"PYTHON={python}"]
    shell(command, f"{tree.name} could not be set up in {tree.root}", environ(), tree.root)
    tell(f"{time.monotonic() - start:.1f} s\n")


def python_of(root: Path) -> str:
    """The Python that the environment here was made by, else this one: both revisions are to have the same."""
    settings = root / ".venv" / "pyvenv.cfg"
    lines = settings.read_text().splitlines() if settings.is_file() else []
    named = [line.partition("=")[2].strip() for line in lines if line.startswith("executable")]
    return named[0] if named and Path(named[0]).is_file() else sys.executable


def made_from(part: Part, tree: Tree, around: Surroundings) -> str:
    """All that a part's results depend on, as text."""
    about = {
        "revision": tree.state(),
        "commands": part.commands,
        "environ": dict(part.environ),
        "machine": dict(around.machine),
        "packs": dict(around.packs) if part.learns else {},
    }
    return json.dumps(about, indent=1, sort_keys=True)


def run(part: Part, tree: Tree, around: Surroundings, shell: Shell) -> bool:
    """Run a part unless its results are there; whether it was run.

    Raises SetUpError where a command fails, Unknown where it leaves less than it should or files changed meanwhile.
    """
    folder, work = tree.results / part.name, tree.results / f".{part.name}.part"
    made = made_from(part, tree, around)
    if (folder / MADE).is_file() and (folder / MADE).read_text() == made:
        return False
    for left in (folder, work):
        shutil.rmtree(left, ignore_errors=True)
    work.mkdir(parents=True)
    for words in part.commands:
        command = [tree.pose, *(word.format(**around.places) for word in words)]
        why = f"pose {words[0]} of {tree.name} failed in {work}"
        shell(command, why, environ(**part.environ), work)
    for pattern in part.leaves:
        if not any(work.glob(pattern)):
            raise Unknown(f"{part.name} of {tree.name} left no {pattern} in {work}")
    if made_from(part, tree, around) != made:
        raise Unknown(f"files of {tree.name} changed while {part.name} ran; run again")
    (work / MADE).write_text(made)
    work.rename(folder)
    return True


def run_all(tree: Tree, parts: Sequence[Part], around: Surroundings, shell: Shell) -> None:
    """Run what is not there yet of a revision, and say so."""
    for number, part in enumerate(parts, 1):
        tell(f"{tree.name} [{number}/{len(parts)}] {part.name} ... ")
        start = time.monotonic()
        is_new = run(part, tree, around, shell)
        tell(f"{time.monotonic() - start:.1f} s\n" if is_new else f"kept in {tree.results}\n")


def machine_here(python: str) -> dict[str, str]:
    """What else results depend on; another processor rounds otherwise."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    kept = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "flags"))]
    return {
        "machine": platform.machine(),
        "processor": hashlib.sha256("\n".join(sorted(set(kept))).encode()).hexdigest(),
        "cores": str(os.cpu_count()),
        "python": python,
    }


def packs_of(data: Path) -> dict[str, str]:
    """Digests of the packs by name. Raises Unknown where one is not there."""
    missing = [name for name in PACKS if not (data / name).is_file()]
    if missing:
        raise Unknown(f"{data} has no {' and no '.join(missing)}; say with --data where the packs are")
    return {name: digest_of(data / name) for name in PACKS}


def expect_plain(variables: Mapping[str, str]) -> None:
    """Raise Unknown in an environment that leads to the modules of one of the revisions."""
    if GUARD in variables:
        raise Unknown(
            "run this with python3, not with the Python of .venv, which leads to the workspace here"
        )


def compare(trees: Sequence[Tree], parts: Sequence[Part]) -> int:
    """The exit status of `golden_values.py`, which reads with the environment here but without its workspace."""
    python = ROOT / ".venv" / "bin" / "python"
    script = Path(__file__).with_name("golden_values.py")
    command = [python, script, *(tree.results for tree in trees), *(part.name for part in parts)]
    return subprocess.run(
        list(map(str, command)), env=environ(POSE_WORKSPACE_BOOTSTRAP="0"), check=False
    ).returncode


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="golden.py", description="Compare what REV computes with what is checked out, to the byte."
    )
    parser.add_argument("rev", metavar="REV", help="commit, branch or tag to compare with")
    parser.add_argument("--data", type=Path, help="folder of the motion capture packs; none: no training")
    parser.add_argument("--again", action="store_true", help="keep no results of earlier runs")
    given = parser.parse_args(arguments)
    untrained = "*** Training is not compared: name the folder of the motion capture packs with --data. ***\n"
    try:
        expect_plain(os.environ)
        commit = commit_of(ROOT, given.rev)
        packs = packs_of(given.data) if given.data else {}
        parts = [part for part in PARTS if given.data or not part.learns]
        if not given.data:
            tell(untrained)
        cache = assets.cache_dir() / "golden"
        with exclusive(cache / "lock", tell) as lock:
            shell = Shell(cache / "log.txt", lock)
            folder = cache / commit
            there = Tree(commit[:12], unpacked(ROOT, commit, folder, shell), folder / "results", commit)
            here = Tree("checked out", ROOT, ROOT / ".setup" / "golden")
            tell(f"comparing {commit[:12]}, in {folder}, with what is checked out in {ROOT}\n")
            python = python_of(ROOT)
            for tree in (there, here):
                if given.again:
                    shutil.rmtree(tree.results, ignore_errors=True)
                set_up(tree, python, shell)
                places = {name: str(assets.path(video)) for name, video in VIDEOS.items()}
                places["data"] = str(given.data.absolute()) if given.data else ""
                run_all(tree, parts, Surroundings(machine_here(python), packs, places), shell)
            status = compare((there, here), parts)
        if not given.data:
            tell(untrained)
        return status
    except (Unknown, SetUpError) as error:
        print(f"golden: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ngolden: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
