"""From YAML to a ``Scenario``: strict, and every refusal one sentence with the place and the cure.

Rules:
    1. YAML's surprises are refused: keys given twice, keys that are not words, anything but one mapping.
    2. Overrides (``call.duration=10s``) change the written scenario before anything is judged, so they are judged
       alike.
    3. Defaults are filled in from the schema first; ``Scenario.settings`` is that complete form.
    4. An unknown key is told before anything else: it usually explains the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from rtcprobe.conversation import parse_level, parse_when
from rtcprobe.conversation.plan import parse_interruption, parse_noise
from rtcprobe.errors import BadInputError, did_you_mean, same_name
from rtcprobe.ice import read_ice
from rtcprobe.link import REGIONS
from rtcprobe.messages import parse_due, parse_frequency
from rtcprobe.picture.settings import parse_size
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.scenario.allowed import plainly_allows
from rtcprobe.scenario.conversing import conversation_of, parse_range
from rtcprobe.scenario.groups import spelled_out
from rtcprobe.scenario.lines import value_with_files_read, with_files_read
from rtcprobe.scenario.lower import cast_of, within
from rtcprobe.scenario.model import Scenario
from rtcprobe.scenario.parties import role_named
from rtcprobe.scenario.plans import CallPlan, DtlsTimer, TargetPlan
from rtcprobe.scenario.schema import NAME, PLACES, scenario_schema
from rtcprobe.scenario.script import parse_cue
from rtcprobe.scenario.servers import FORWARDING
from rtcprobe.scenario.video import parse_read
from rtcprobe.strictyaml import load_yaml
from rtcprobe.textfiles import read_text
from rtcprobe.units import parse_bytes, parse_decibels, parse_duration, parse_ppm, parse_rate, parse_ratio
from rtcprobe.verdict.budgets import parse_budget
from rtcprobe.ways import BOTH_LEGS, party_named

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

__all__ = ["FORMATS", "parse_scenario", "read_scenario"]

_NAME_CURE: Final = "use small letters and digits, and . _ - after the first"

_OWN_SENTENCES: Final = ("link", "legs", "target", "ice")
"""Keys judged by parsers of their own."""

_WHOLE: Final = ("budget", "cue", "party", "role", "message")
"""What quotes itself whole; every other value is found by its key."""

FORMATS: Final[Mapping[str, Callable[[object], object]]] = {
    "duration": parse_duration,
    "rate": parse_rate,
    "share": parse_ratio,
    "ppm": parse_ppm,
    "decibels": parse_decibels,
    "playout": PlayoutChoice.parse,
    "timer": DtlsTimer.parse,
    "budget": parse_budget,
    "cue": parse_cue,
    "level": parse_level,
    "when": parse_when,
    "noise": parse_noise,
    "range": parse_range,
    "interruption": parse_interruption,
    "party": lambda name: party_named(str(name)),
    "role": lambda name: role_named(str(name)),
    "size": lambda text: parse_size(str(text)),
    "read": lambda text: parse_read(str(text)),
    "bytes": parse_bytes,
    "frequency": parse_frequency,
    "message": parse_due,
}


def read_scenario(path: Path, settings: Sequence[str] = (), *, called: str | None = None) -> Scenario:
    """Return the scenario in the file at ``path``, with ``settings`` like ``"call.duration=10s"`` changed.

    Files a link names are looked for beside it. ``called`` is how errors call the file, its path unless given.

    Raises:
        BadInputError: the file cannot be read, or says something that cannot be meant.
    """
    place = called or str(path)
    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(f"scenario {place} cannot be read", f"{reason}") from error
    return parse_scenario(text, settings, called=place, folder=path.parent)


def parse_scenario(
    text: str, settings: Sequence[str] = (), *, called: str = "scenario", folder: Path | None = None
) -> Scenario:
    """Return the scenario that the YAML ``text`` writes; see ``read_scenario``."""
    try:
        # What is loaded is shared by the cache; settings change it in place.
        written = deepcopy(_load(text))
        for setting in settings:
            _set(written, setting)
        folder = Path() if folder is None else folder
        # A trace that a link names on the command line is looked for where the command was given; all else that the
        # scenario names, its speech above all, stays beside it.
        here = any(setting.lstrip().startswith("link") for setting in settings)
        written = with_files_read(written, folder)
        # Rule 3, then judged, then groups spelled out: sentences quote what was written, never fan-17.
        complete = cast("dict[str, Any]", _with_defaults(written, scenario_schema()))
        _validate(complete)
        complete = spelled_out(complete)
        _placed(complete)
        return _convert(complete, folder, traces=Path() if here else folder)
    except BadInputError as error:
        raise error.within(called) from error


@lru_cache(maxsize=64)  # a server and a suite read one situation hundreds of times
def _load(text: str) -> dict[str, Any]:
    written = load_yaml(text)
    if not isinstance(written, dict):
        raise BadInputError(
            "this is not a scenario", "write name, and link, or parties, or caller, callee and signaling"
        )
    return written


def _set(written: dict[str, Any], setting: str) -> None:
    """Change one key of ``written`` in place."""
    dotted, equals, text = setting.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise BadInputError(f"setting {setting!r} cannot be read", "write it like call.duration=10s")
    # A URL alone becomes keys, so that --set target.token goes beside it.
    if keys[0] == "target" and len(keys) > 1 and isinstance(written.get("target"), str):
        written["target"] = {"url": written["target"]}
    try:
        value = load_yaml(text)
    except BadInputError as error:
        raise BadInputError(f"setting {setting!r} cannot be read", "put the value in quotes") from error
    inside: Any = written
    value = value_with_files_read(keys, value, Path())
    for depth, key in enumerate(keys[:-1]):
        # A path of keys that is not there is made: whether it may be is judged with the rest (rule 2).
        inside = inside.setdefault(key, {})
        if not isinstance(inside, dict):
            raise BadInputError(
                f"setting {setting!r} reaches into {'.'.join(keys[: depth + 1])}, which has no keys", "set it whole"
            )
    inside[keys[-1]] = value


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a copy of ``value`` with the defaults of ``schema`` where keys are absent, in the schema's order.

    Names of a list are written as the list has them, whatever their case: equal situations have equal digests.
    """
    if isinstance(value, str) and "anyOf" in schema:  # a word, or something of another kind
        schema = next((each for each in schema["anyOf"] if "enum" in each), schema)
    if isinstance(value, str) and "enum" in schema:
        return same_name(value, (each for each in schema["enum"] if isinstance(each, str))) or value
    if schema.get("type") == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)  # 20.0 is a whole number to JSON Schema, and to programs that know no other
    if isinstance(schema.get("additionalProperties"), Mapping) and isinstance(value, Mapping):
        return {key: _with_defaults(each, schema["additionalProperties"]) for key, each in value.items()}
    if not isinstance(value, Mapping) or "properties" not in schema:
        return deepcopy(value)
    out: dict[str, Any] = {}
    for key, below in schema["properties"].items():
        if key in value or "default" in below:
            out[key] = _with_defaults(value.get(key, below.get("default")), below)
    # Unknown keys stay, behind the known: they are told first, by their place (rule 4).
    return out | {key: deepcopy(each) for key, each in value.items() if key not in out}


@cache
def _judging() -> Mapping[str, Any]:
    """Return the schema but for what link replaces: that is judged with it, by ``_placed``."""
    return {key: each for key, each in scenario_schema().items() if key != "anyOf"}


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415 - see ``allowed``

    # None of the library's own formats: "duration" there is ISO 8601's.
    checker = FormatChecker(formats=())
    for name, parse in FORMATS.items():
        checker.checks(name, raises=BadInputError)(_accepts(parse))
    return Draft202012Validator(_judging(), format_checker=checker)


def _accepts(parse: Callable[[object], object]) -> Callable[[object], bool]:
    def accepts(instance: object) -> bool:
        parse(instance)
        return True

    return accepts


_valid: Final[set[str]] = set()
"""What the schema found nothing wrong with: probes of a server, and runs of a check, are of few scenarios."""
# As many as ``_load`` keeps texts.
_MOST_VALID: Final = 64


def _validate(written: Mapping[str, Any]) -> None:
    """Raise the sentence for the worst error the schema finds."""
    # Rule 4; an error of any other kind comes last, as it is its own place in the list.
    order = ["additionalProperties", "required", "format"]
    judged = {key: each for key, each in written.items() if key not in _OWN_SENTENCES}
    if repr(judged) in _valid:
        return
    errors = [] if plainly_allows(_judging(), judged, FORMATS) else list(_validator().iter_errors(judged))
    if not errors:
        if len(_valid) == _MOST_VALID:
            _valid.clear()
        _valid.add(repr(judged))
        return
    worst = min(errors, key=lambda error: [*order, error.validator].index(error.validator))
    raise _sentence(worst)


def _placed(written: Mapping[str, Any]) -> None:
    """Refuse a scenario that does not say where somebody is, unless a link replaces the path both ways.

    Raises:
        BadInputError: a place is missing.
    """
    if "parties" in written:
        return  # ``lower`` knows which of their paths are written out
    link = written["link"]
    ways = [way for way in BOTH_LEGS if isinstance(link, Mapping) and way in link]
    # One link for both, or one each: the whole path is written.
    if link and (not ways or len(ways) == len(BOTH_LEGS)):
        return
    needed = [(place,) for place in PLACES] + [("signaling", "region")]
    for keys in needed:
        inside = written if len(keys) == 1 else written[keys[0]]
        if keys[-1] not in inside:
            cure = _example(_schema_of(keys))
            raise BadInputError(f"{'.'.join(keys)} is missing", f"{cure}; or give link, which replaces the whole path")


def _schema_of(keys: Sequence[str]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = scenario_schema()
    for key in keys:
        found = found["properties"][key]
    return found


def _sentence(error: ValidationError) -> BadInputError:
    # A value that may be of several kinds fails as each of them; its reader meant one.
    while error.validator == "anyOf":
        error = _meant(error)
    place = ".".join(str(part) for part in error.absolute_path)
    value, schema = cast("Any", error.instance), cast("Mapping[str, Any]", error.schema)
    # A parser's own sentence, which is better than any made of the schema.
    if isinstance(error.cause, BadInputError):
        return error.cause if schema["format"] in _WHOLE else error.cause.within(place)
    if error.validator == "additionalProperties":
        unknown = next(key for key in value if key not in schema["properties"])
        return BadInputError(
            f"{_dotted(place, unknown)} is not known", did_you_mean(unknown, list(schema["properties"]))
        )
    if error.validator == "required":
        missing = next(key for key in schema["required"] if key not in value)
        return BadInputError(f"{_dotted(place, missing)} is missing", _example(schema["properties"][missing]))
    if error.validator == "enum":
        known = [str(each) for each in schema["enum"]]
        return BadInputError(f"{place} {value!r} is not known", did_you_mean(value, known))
    bad_name = error.validator == "pattern" and schema["pattern"] == NAME
    if bad_name or error.validator in ("minimum", "maximum"):
        cure = _NAME_CURE if bad_name else f"give {schema['minimum']} to {schema['maximum']}"
        return BadInputError(f"{place} {value!r} is impossible", cure)
    return BadInputError(f"{place} {_shown(value)} is not {_kind(schema)}", _example(schema))


def _meant(error: ValidationError) -> ValidationError:
    """Return, of the kinds that a value may be, what the one that it is meant for refuses."""
    kinds = cast("Mapping[str, Any]", error.schema)["anyOf"]
    keys = isinstance(error.instance, Mapping)
    refused = error.context or ()
    # Keys are meant for the kind that has keys, texts for one of the others; of these the list of words is the better
    # cure.
    meant = [each for each in refused if (kinds[each.relative_schema_path[0]].get("type") == "object") == keys]
    return next((each for each in meant if each.validator == "enum"), meant[0])


def _dotted(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _kind(schema: Mapping[str, Any]) -> str:
    kinds = {"integer": "a whole number", "boolean": "true or false", "object": "a set of keys", "array": "a list"}
    kind = schema.get("type", "")
    return "a text or a list" if isinstance(kind, list) else kinds.get(kind, "a text")


def _example(schema: Mapping[str, Any]) -> str:
    if "examples" in schema:
        example = schema["examples"][0]
        return f"write it like {_shown(example)}"
    return f"it has the keys {', '.join(schema['properties'])}" if "properties" in schema else "put it in quotes"


def _shown(value: object) -> str:
    """Return a value as YAML has it on a line."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_shown(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) and value else repr(value)


def _convert(written: Mapping[str, Any], folder: Path, *, traces: Path) -> Scenario:
    people = cast_of(written, folder, traces=traces)
    return Scenario(
        name=written["name"],
        serves=written.get("serves", ""),
        sources=tuple(written["sources"]),
        parties=people.parties,
        legs=people.legs,
        script=people.script,
        servers=people.servers,
        assign=written.get("assign", "nearest"),
        signaling=people.signaling,
        rtt_s=parse_duration(written["rtt"]) if "rtt" in written else None,
        private=written.get("backbone") == "private",
        border=written.get("border"),
        call=within("call", _call, written["call"]),
        dtls=DtlsTimer.parse(written["dtls"]["timer"]),
        budgets=tuple(parse_budget(line) for line in written["budgets"]),
        target=_target(written.get("target", "loopback"), folder),
        ice=read_ice(written.get("ice", {}), folder),
        conversation=within("conversation", lambda each: conversation_of(each, folder), written["conversation"])
        if "conversation" in written
        else None,
        settings=written,
    )


def _call(written: Mapping[str, Any]) -> CallPlan:
    return CallPlan(
        duration_s=parse_duration(written["duration"]),
        joins=written["joins"],
        join_timeout_s=parse_duration(written["join_timeout"]),
        calls=written["calls"],
    )


def _target(written: Any, folder: Path) -> TargetPlan:
    """Return who is called: a URL, or keys; what the keys beside ``url`` and ``region`` mean is the target's matter."""
    keys = {"url": written} if isinstance(written, str) else written
    if not isinstance(keys, Mapping) or not keys:
        raise BadInputError(f"target {written!r} is not a target", "write a URL, or keys: url, region, token")
    options = {key: each for key, each in keys.items() if key not in ("url", "region")}
    if "url" not in keys and keys.get("kind") in FORWARDING:
        del options["kind"]
        keys = {**keys, "url": keys["kind"]}
    url = keys.get("url", "whip+whep" if {"whip", "whep"} & set(options) else None)
    if not isinstance(url, str) or not url.strip():
        raise BadInputError("target.url is missing", "write it like url: janus+ws://host:8188/echotest")
    region = keys.get("region")
    region = same_name(region, REGIONS) or region if isinstance(region, str) else region
    if region is not None and region not in REGIONS:
        raise BadInputError(f"target.region {region!r} is not known", did_you_mean(region, sorted(REGIONS)))
    return TargetPlan(url=url.strip(), region=region, options=options, folder=folder)
