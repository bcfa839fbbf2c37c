"""What of a bag would be replayed, and with which parameters: for launch files, which cannot read bags themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pose_tools.bag.namespaces import Input
from pose_tools.bag.stated import Values, recorded_values, seen_again


def described(bag: Path, found: Input, *, images: bool, by_file: Values, said: Values) -> dict[str, Any]:
    """In terms of JSON: the robot's `namespace`, `values` of parameters by stage, whether the bag's `subjects` are to be stated,
    and `warnings`.

    `found`: what of the bag is sent; `by_file`, `said`: what parameter file and user say otherwise. Raises as `recorded_values`.
    """
    warnings: list[str] = []
    _, values = recorded_values(bag, found.namespace, (by_file, said), warnings.append)
    if images:
        values["pose2d"] = {**seen_again(by_file), **found.detecting}
    return {
        "namespace": found.namespace,
        "values": values,
        "subjects": not any("height" in layer.get("lift3d", {}) for layer in (by_file, said)),
        "warnings": warnings,
    }
