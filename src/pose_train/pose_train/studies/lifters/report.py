"""Tables of lifters, for docs/models.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pose_train.studies import statistics2d
from pose_train.studies.lifters.figures import BASELINES
from pose_train.studies.lifters.scenes import Scenes, Settings
from pose_train.studies.real_video import EASY, HARD, RealVideo
from pose_train.studies.scores import PEOPLE, Cost, Result, Scores
from pose_train.studies.tables import Table, magnitude, markdown, number, percent


def tables_of(results: Sequence[Result]) -> dict[str, Table]:
    """What was measured, by the names of the parts of docs/models.md."""
    simulated = [result for result in results if result.simulated]
    networks = [result for result in simulated if result.name not in BASELINES]
    filmed = [result for result in results if result.real]
    found = {
        "accuracy": accuracy(simulated),
        "conditions": conditions(networks),
        "cost": cost([result for result in networks if result.cost != Cost()]),
    }
    if filmed:
        found["real"] = real(filmed, EASY, HARD)
    return found


def report(results: Sequence[Result], settings: Settings, where: str, detector: str = "") -> dict[str, str]:
    """The generated parts of docs/models.md by the names of their marks.

    `where`: the machine that times were taken on, in words. `detector`: what `detector_table` gives.
    """
    made = "Made by `pose evaluate lifters`"
    clips = f"{made}: {settings.clips} clips of {settings.frames} frames.\n\n"
    above = {
        "accuracy": clips,
        "conditions": clips,
        "cost": f"{made} on {where}.\n\n",
        "real": f"{made}.\n\n",
    }
    parts = {name: above[name] + markdown(*table) for name, table in tables_of(results).items()}
    if detector:
        parts["detector"] = f"{made}.\n\n" + detector
    return parts


def detector_table(test: Scenes, video: RealVideo) -> str:
    """The Markdown table of `pose_train.studies.statistics2d`, with the clips of the test."""
    columns = {
        f"cameras {', '.join(map(str, EASY))}": statistics2d.statistics(statistics2d.of_video(video, EASY)),
        f"camera {', '.join(map(str, HARD))}": statistics2d.statistics(statistics2d.of_video(video, HARD)),
        "simulated": statistics2d.statistics(statistics2d.of_clips(test.clips("noise"))),
    }
    return markdown(*statistics2d.table(columns))


POSES: dict[str, Callable[[Scores], str]] = {
    "MPJPE mm": lambda one: number(one.mpjpe_mm),
    "body": lambda one: number(one.mpjpe_body_mm),
    "PA-MPJPE": lambda one: number(one.pa_mpjpe_mm),
    "N-MPJPE": lambda one: number(one.n_mpjpe_mm),
    "limbs °": lambda one: number(one.limb_mean_deg),
    "median": lambda one: number(one.limb_median_deg),
    "z sign": lambda one: percent(one.z_sign, 1),
    "clear": lambda one: percent(one.z_sign_clear, 1),
}
"""Columns of figures about single frames."""


def accuracy(results: Sequence[Result]) -> Table:
    """Figures on the simulated test with full noise."""
    columns: dict[str, Callable[[Scores], str]] = {
        **POSES,
        "acceleration mm/frame²": lambda one: number(one.acceleration_mm),
        "m/s²": lambda one: number(one.acceleration),
        "90 % covers": lambda one: percent(one.coverage),
        "rank correlation": lambda one: number(one.rank_correlation, 2),
    }
    rows = [
        [_name(result), result.skeleton, str(result.cost.look_ahead)]
        + [cell(result.simulated["noise"]) for cell in columns.values()]
        for result in results
    ]
    return ["lifter", "joints", "look-ahead", *columns], rows


def conditions(results: Sequence[Result]) -> Table:
    """Figures with true keypoints, full noise, joints missing, and with cameras that are strongly tilted."""
    header = ["lifter", "MPJPE mm clean", "noise", "30 % masked", "tilted", "masked costs"]
    header += ["limbs ° clean", "noise", "30 % masked", "tilted"]
    rows = []
    for result in results:
        columns = [result.simulated[name] for name in ("clean", "noise", "masked", "tilted")]
        _, noise, masked, _ = errors = [one.mpjpe_mm for one in columns]
        rows.append(
            [
                _name(result),
                *map(number, errors),
                percent(masked / noise - 1.0),
                *(number(one.limb_mean_deg) for one in columns),
            ]
        )
    return header, rows


def real(results: Sequence[Result], easy: Sequence[int], hard: Sequence[int]) -> Table:
    """Figures on the real video, means over the `easy` cameras and over the `hard` ones."""
    columns: dict[str, Callable[[Scores], str]] = {
        **POSES,
        "acceleration m/s²": lambda one: number(one.acceleration),
        "90 % covers": lambda one: percent(one.coverage),
    }
    others = ("PA-MPJPE", "limbs °", "median")
    rows = []
    for result in results:
        for rate in sorted(map(int, result.real), reverse=True):
            one, other = result.real_mean(rate, easy), result.real_mean(rate, hard)
            cells = [cell(one) for cell in columns.values()] + [columns[title](other) for title in others]
            rows.append([_name(result), str(rate), *cells])
    where = f"camera {', '.join(map(str, hard))}: "
    return ["lifter", "images/s", *columns, where + others[0], *others[1:]], rows


def cost(results: Sequence[Result]) -> Table:
    """What lifters cost."""
    header = [
        "lifter",
        "parameters",
        "MACs",
        "file MB",
        "look-ahead",
        "one person ms",
        f"each of {PEOPLE}",
        "whole lifter",
    ]
    rows = []
    for result in results:
        one = result.cost
        size = None if one.bytes is None else one.bytes / 1e6
        times = (number(value, 2) for value in (one.one_ms, one.batch_ms, one.lift_ms))
        rows.append(
            [
                _name(result),
                magnitude(one.parameters),
                magnitude(one.macs),
                number(size),
                str(one.look_ahead),
                *times,
            ]
        )
    return header, rows


def _name(result: Result) -> str:
    return f"`{result.name}`"
