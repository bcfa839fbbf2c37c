from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift3d_node.learned import encoding
from lift3d_node.learned.model_card import ModelCard
from pose_core.networks.model_card import FORMAT


def test_a_card_comes_back_from_json(tiny_card: ModelCard) -> None:
    card = replace(tiny_card, temperature=tuple(1.0 + 0.01 * i for i in range(33)), look_ahead=3)
    again = ModelCard.from_json(card.to_json())
    assert again == card
    assert again.state == ((33, 3),)
    assert (again.encoding, again.format, again.unit) == (encoding.VERSION, FORMAT, "standing height")


def test_json_does_not_depend_on_the_order_of_names(tiny_card: ModelCard) -> None:
    one = replace(tiny_card, metrics={"a": 1.0, "b": 2.0})
    other = replace(tiny_card, metrics={"b": 2.0, "a": 1.0})
    assert one.to_json() == other.to_json()


@settings(max_examples=50, deadline=None)
@given(
    training=st.text(max_size=20),
    metrics=st.dictionaries(
        st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3
    ),
    config=st.dictionaries(
        st.text(max_size=5), st.one_of(st.booleans(), st.integers(), st.text(max_size=5)), max_size=3
    ),
    state=st.lists(st.lists(st.integers(1, 500), max_size=3).map(tuple), max_size=4).map(tuple),
    std=st.floats(1e-6, 10.0),
)
def test_any_card_comes_back(training, metrics, config, state, std) -> None:
    card = ModelCard(
        network="n",
        config=config,
        skeleton_in="coco17",
        skeleton_out="h36m17",
        outputs=("xyz",),
        state=state,
        std=(std,),
        training=training,
        metrics=metrics,
    )
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"encoding": encoding.VERSION + 1},
            f"made for encoding {encoding.VERSION + 1}, this version runs {encoding.VERSION}",
        ),
        ({"format": FORMAT + 1}, f"made for format {FORMAT + 1}, this version runs {FORMAT}"),
        ({"format": True}, "format must be a whole number, got True"),
        ({"unit": "metres"}, "made for unit 'metres', this version runs 'standing height'"),
        ({"network": ""}, "network must be a name"),
        ({"network": 3}, "network must be a string, got 3"),
        ({"skeleton_in": "coco18"}, "unknown skeleton 'coco18'; did you mean 'coco17'"),
        ({"outputs": ("ratios", "log_std")}, "outputs must be 'xyz' or 'limbs'"),
        ({"outputs": ("xyz", "xyz", "log_std")}, "outputs must be names that differ"),
        ({"outputs": ("xyz",)}, "std must be stated for a network without output 'log_std'"),
        ({"look_ahead": -1}, "look_ahead must be at least 0, got -1"),
        ({"state": ((3, 0),)}, "state must be positive sizes"),
        ({"state": ((3.0,),)}, "state must be a list of int"),
        ({"std": (0.1, 0.2)}, "std must be 0 or 1 or 33 numbers, got '2 of them'"),
        ({"temperature": (0.0,)}, "temperature must be positive numbers"),
        ({"temperature": ()}, "temperature must be 1 or 33 numbers"),
        (
            {"metrics": {"mpjpe_mm": float("nan")}},
            "metrics must be names with values of int or float, finite",
        ),
        ({"config": {"a": [1]}}, "config must be names with values"),
    ],
)
def test_a_card_that_cannot_run_is_refused(tiny_card: ModelCard, changes: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(tiny_card, **changes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.pop("state"), "lacks the field 'state'"),
        (
            lambda values: values.update(skeletonin="coco17"),
            "unknown field 'skeletonin'; did you mean 'skeleton_in'",
        ),
        (lambda values: values.update(format=99, extra=1), "made for format 99"),
        (lambda values: values.pop("format"), "made for format None"),
        (lambda values: values.update(outputs="xyz"), "outputs must be a list of str"),
        (lambda values: values.update(look_ahead=1.5), "look_ahead must be a whole number"),
    ],
)
def test_json_that_says_something_else_is_refused(tiny_card: ModelCard, change, said: str) -> None:
    values = asdict(tiny_card)
    change(values)
    with pytest.raises(ValueError, match=said):
        ModelCard.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object, got list"),
        ('{"a": NaN}', "NaN is no number"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_text_that_is_no_card_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ModelCard.from_json(text)
