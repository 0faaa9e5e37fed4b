"""What is allowed at once: whatever it says yes to, JSON Schema says yes to."""

import random
from copy import deepcopy

import jsonschema
import pytest
import yaml

from rtcprobe.errors import BadInputError
from rtcprobe.scenario.allowed import JUDGES, SAYS_NOTHING, plainly_allows
from rtcprobe.scenario.library import library_folder
from rtcprobe.scenario.read import FORMATS
from rtcprobe.scenario.schema import scenario_schema

SCHEMA = scenario_schema()

SHIPPED = [yaml.safe_load(path.read_text()) for path in sorted(library_folder().glob("*.yaml"))]

INTO = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2.5,
    1e9,
    "",
    "x",
    "10ms",
    "-5ms",
    "auto",
    [],
    ["x"],
    [{}],
    {},
    {"x": 1},
    {"say": ""},
)
"""What a value is changed into: of every type, what is right somewhere and wrong elsewhere."""


def keywords(schema):
    """Yield the keywords of a schema and of all below it."""
    yield from schema
    for keyword, said in schema.items():
        if keyword == "properties":
            below = list(said.values())
        else:
            below = {"items": [said], "propertyNames": [said], "additionalProperties": [said], "anyOf": said}.get(
                keyword, []
            )
        for each in below:
            if isinstance(each, dict):
                yield from keywords(each)


def places(value, way=()):
    """Yield the way to every value in ``value``."""
    if way:
        yield way
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*way, key))


def changed(written, dice):
    """Return ``written`` with one value in it changed, taken away, or given a neighbour."""
    out = deepcopy(written)
    *way, last = dice.choice(list(places(out)))
    inside = out
    for key in way:
        inside = inside[key]
    what = dice.random()
    if what < 0.2 and isinstance(inside, dict):
        del inside[last]
    elif what < 0.4 and isinstance(inside, dict):
        inside[dice.choice(["x", "name", "loss", "region"])] = deepcopy(dice.choice(INTO))
    else:
        inside[last] = deepcopy(dice.choice(INTO))
    return out


def judge():
    checker = jsonschema.FormatChecker(formats=())
    for name, parse in FORMATS.items():
        checker.checks(name, raises=BadInputError)(lambda value, parse=parse: (parse(value), True)[1])
    return jsonschema.Draft202012Validator(SCHEMA, format_checker=checker)


def test_every_keyword_of_the_schema_is_known_or_says_nothing():
    assert set(keywords(SCHEMA)) <= JUDGES.keys() | SAYS_NOTHING


@pytest.mark.parametrize("written", SHIPPED, ids=lambda written: written["name"])
def test_what_is_shipped_is_allowed_at_once(written):
    assert plainly_allows(SCHEMA, written, FORMATS)


def test_what_is_allowed_at_once_json_schema_allows_too():
    dice, judging = random.Random(14), judge()
    answers = []
    for written in SHIPPED * 60:
        trial = changed(written, dice)
        answers.append(plainly_allows(SCHEMA, trial, FORMATS))
        assert not answers[-1] or judging.is_valid(trial), trial
    assert 0.1 < sum(answers) / len(answers) < 0.9  # both happen, so the test can fail


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, True),
        ({"type": "integer"}, 1.5),
        ({"type": "number"}, True),
        ({"type": ["string", "array"]}, {}),
        ({"enum": [1]}, True),  # equal in Python, not in JSON
        ({"minLength": 1}, ""),
        ({"pattern": "^[0-9]+$"}, "12x"),
        ({"format": "duration"}, "12"),
        ({"minimum": 1}, 0),
        ({"maximum": 1}, 2),
        ({"items": {"type": "string"}}, ["a", 1]),
        ({"minItems": 1}, []),
        ({"minProperties": 1}, {}),
        ({"propertyNames": {"pattern": "^x"}}, {"y": 1}),
        ({"required": ["a"]}, {"b": 1}),
        ({"properties": {"a": {"type": "string"}}}, {"a": 1}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "string"}}, {"b": 1}),
        ({"anyOf": [{"type": "string"}, {"minimum": 2}]}, 1),
        ({"multipleOf": 2}, 3),  # a keyword that is not known here
        ({"format": "email"}, "anna"),  # nor a format
    ],
)
def test_what_a_keyword_refuses_is_not_allowed_at_once(schema, value):
    assert not plainly_allows(schema, value, FORMATS)


@pytest.mark.parametrize(
    "schema", [{"minLength": 2}, {"pattern": "x"}, {"minimum": 9}, {"items": {"type": "null"}}, {"required": ["a"]}]
)
def test_a_keyword_judges_values_of_its_own_type_alone(schema):
    # JSON Schema 2020-12, Validation §6.1: "an instance that does not have one of the types succeeds"
    others = {"minLength": 1, "pattern": 1, "minimum": "1", "items": "ab", "required": "ab"}
    assert plainly_allows(schema, others[next(iter(schema))], {})
