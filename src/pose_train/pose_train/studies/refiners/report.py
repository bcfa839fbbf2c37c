"""Tables of refiners, for docs/refiners.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pose_train.studies import real_video
from pose_train.studies.real_video import EASY
from pose_train.studies.refiners.figures import RefinerScores
from pose_train.studies.refiners.scenes import RATE_HZ, Settings
from pose_train.studies.refiners.variants import ABLATED, Variant
from pose_train.studies.study import Results
from pose_train.studies.tables import Table, markdown, number, percent

PARTS = {
    "raw": "neither",
    "kalman": "filter only",
    "hpstm_transformer": "transformer only",
    "hpstm_fk": "forward kinematics only",
    "hpstm": "both",
}
"""Rows of the ablation. Those that are no refiner of their own take part in nothing else."""


def report(
    results: Results[Variant, RefinerScores], absent: Sequence[str], settings: Settings, where: str
) -> dict[str, str]:
    """The generated parts of docs/refiners.md by the names of their marks; `where`: the machine, in words."""
    made = "Made by `pose evaluate refiners`"
    clips = f"{made} on {where}: {settings.clips} clips of {settings.frames} frames at {RATE_HZ:g} per second.\n\n"
    film = (
        f"{made} on {where}: cameras {', '.join(map(str, EASY))}, {real_video.RATE_HZ} images per second.\n\n"
    )
    left_out = ""
    if absent:
        left_out = f"Not trained yet, so left out: {', '.join(f'`{name}`' for name in absent)}.\n\n"
    parts = {}
    for name, found in results.items():
        shown = {way: one for way, one in found.items() if way.label not in ABLATED}
        rows = harm(shown) if name == "clean" else table(shown)
        parts[name] = (film if name == "mediapipe" else clips) + left_out + markdown(*rows)
    parts["ablation"] = clips + left_out + markdown(*ablation(results["lifted"]))
    return parts


def table(found: Mapping[Variant, RefinerScores]) -> Table:
    """All figures of one scene; what is cut of the acceleration error is against `raw` without held bones."""
    raw = next((one for way, one in found.items() if way.label == "raw" and not way.bones), None)
    rows = []
    for way, one in found.items():
        cut = 1.0 - one.acceleration / raw.acceleration if raw else math.nan
        rows.append(
            [
                f"`{way.label}`",
                "offline" if way.look_ahead is None else str(way.look_ahead),
                "held" if way.bones else "free",
                number(one.mpjpe_mm),
                number(one.pa_mpjpe_mm),
                number(one.acceleration_mm),
                number(one.acceleration),
                percent(cut),
                number(one.jitter, 0),
                number(one.bones_mm),
                number(one.lag_ms),
                percent(one.coverage),
                number(one.ms, 2),
            ]
        )
    header = [
        "refiner",
        "look-ahead",
        "bones",
        "MPJPE mm",
        "PA-MPJPE",
        "acceleration mm/frame²",
        "m/s²",
        "cut",
    ]
    return [*header, "jitter m/s³", "bone std mm", "lag ms", "90 % covers", "ms"], rows


def harm(found: Mapping[Variant, RefinerScores]) -> Table:
    """What refiners do to the truth."""
    rows = [
        [
            f"`{way.label}`",
            "held" if way.bones else "free",
            number(one.mpjpe_mm, 2),
            number(one.acceleration),
            number(one.bones_mm, 2),
            number(one.lag_ms),
        ]
        for way, one in found.items()
    ]
    return ["refiner", "bones", "MPJPE mm added", "acceleration m/s²", "bone std mm", "lag ms"], rows


def ablation(found: Mapping[Variant, RefinerScores]) -> Table:
    """What each part is worth, without look-ahead and with bones as the parts give them."""
    shown = {
        way.label: one
        for way, one in found.items()
        if way.look_ahead == 0 and not way.bones and way.label in PARTS
    }
    header, rows = table({Variant(name, name, bones=False): shown[name] for name in PARTS if name in shown})
    kept = [i for i, title in enumerate(header) if title not in ("look-ahead", "bones")]
    titles = [PARTS[name] for name in PARTS if name in shown]
    return ["part", *(header[i] for i in kept)], [
        [title, *(row[i] for i in kept)] for title, row in zip(titles, rows, strict=True)
    ]
