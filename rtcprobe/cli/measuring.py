"""What commands that measure share: the flags that say what to measure, and the scenarios they come to."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcprobe.errors import BadInputError
from rtcprobe.textfiles import read_text

if TYPE_CHECKING:
    from rtcprobe.result import Clock, Engine, Result
    from rtcprobe.scenario import Scenario

__all__ = ["Measuring", "budgeted", "budgets_option", "measured", "measuring_options", "strict_option"]

_LINK_HELP = (
    "Replace the path both ways, media and signalling alike (the server at the callee's end), in tc-netem's words: "
    "'delay 80ms loss 2%'. Packets keep their order; add 'order free' to let jitter reorder them. Rates are in bits "
    "per second, bps and kbps too (tc's would be bytes)."
)

_TARGET_HELP = (
    "Call this instead of the scenario's target, with --real-time: 'whip+whep://HOST/PATH/{whip,whep}', "
    "janus+ws://HOST:PORT/videoroom/ROOM, sdp+https://HOST/PATH. Tokens by name: --set target.token=env:NAME."
)

FIGURES_HELP = "Tell figures in a service's words, too: agora, trtc or volcengine; same as --set figures=SERVICE."

_OPTIONS = (
    click.option("--target", metavar="URL", help=_TARGET_HELP),
    click.option("--real-time", is_flag=True, help="Run on the machine's clock, over real UDP sockets."),
    click.option(
        "--engine",
        type=click.Choice(["stack", "model"]),
        default="stack",
        help="model: the same speech, links and hearing, WebRTC between them modelled: faster, and no joins.",
    ),
    click.option("--joins", metavar="N", help="Joins before the calls; same as --set call.joins=N."),
    click.option("--calls", metavar="N", help="Calls measured; same as --set call.calls=N."),
    click.option("--duration", metavar="TIME", help="Length of each call, like 10s; same as --set call.duration=TIME."),
    click.option("--link", metavar="LINE", help=_LINK_HELP),
    click.option(
        "--ice-policy", type=click.Choice(["all", "relay"]), help="Candidates used outside; same as --set ice.policy=…."
    ),
    click.option("--playout", metavar="POLICY", help="Receiver's playout: neteq, neteq:100ms, fixed:60ms or aiortc."),
    click.option("--mouth", metavar="WAV", help="Speak this WAV file under the markers; also: silence, noise."),
    click.option("--figures", metavar="SERVICE", help=FIGURES_HELP),
    click.option(
        "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change any key: --set codec.bitrate=64kbit."
    ),
)

budgets_option = click.option(
    "--budgets", "budgets_path", metavar="FILE", help="Judge by the budgets of this YAML file, not the scenario's."
)
strict_option = click.option("--strict", is_flag=True, help="Count what is undecided as missed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What was asked to be measured: the clock, and what is changed in every scenario."""

    target: str | None = None
    real_time: bool = False
    engine: Engine = "stack"
    joins: str | None = None
    calls: str | None = None
    duration: str | None = None
    link: str | None = None
    ice_policy: str | None = None
    playout: str | None = None
    mouth: str | None = None
    figures: str | None = None
    settings: tuple[str, ...] = ()

    @property
    def clock(self) -> Clock:
        """The clock to run on."""
        return "real" if self.real_time else "virtual"

    def plans(self, names: Sequence[str]) -> list[Scenario]:
        """Return the scenarios of these names or paths, changed as the flags say.

        Raises:
            BadInputError: no such scenario, or a value that cannot be meant.
        """
        from rtcprobe.scenario import find_scenario

        flags = {"call.joins": self.joins, "call.calls": self.calls, "call.duration": self.duration}
        flags |= {"link": self.link, "playout": self.playout, "ice.policy": self.ice_policy, "figures": self.figures}
        if self.engine == "model" and self.joins is not None:
            raise BadInputError(f"--joins {self.joins}: engine model makes no joins", "leave --joins or --engine out")
        # A file's path from where the command was given; in a scenario it is seen from the scenario's folder.
        spoken = self.mouth in (None, "silence", "noise")
        flags["mouth.programme"] = self.mouth if spoken else str(Path(self.mouth or "").absolute())
        # One of them would win, and nobody could say which was meant.
        if self.link is not None and any(_about_link(each) for each in self.settings):
            raise BadInputError("--link and --set link are given together", "write the whole link in one of them")
        # First, so that nothing meant for the scenario's own target, its token above all, goes to this one.
        target = [] if self.target is None else [f"target={json.dumps(self.target)}"]
        # Flags last: where a key is given by both, the flag wins.
        changed = [*target, *self.settings, *(f"{key}={value}" for key, value in flags.items() if value is not None)]
        return [find_scenario(each, changed) for each in names]


def budgeted(plans: Sequence[Scenario], path: str | None) -> list[Scenario]:
    """Return ``plans`` with the budgets of the file at ``path`` in place of their own; as they are without one.

    Raises:
        BadInputError: the file cannot be read or meant, or holds nothing for one of them.
    """
    if path is None:
        return list(plans)
    from rtcprobe.verdict import read_budgets

    try:
        text = read_text(Path(path))
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise BadInputError(f"budgets {path} cannot be read", reason or "it is not UTF-8 text") from error
    found = read_budgets(text, path)
    out = []
    for plan in plans:
        budgets = found.budgets_for(plan.name)
        if not budgets:
            raise BadInputError(
                f"{path} has no budgets for {plan.name}", 'name it there, or write "*" for every scenario'
            )
        lines = [each.expression + (" (advisory)" if each.advisory else "") for each in budgets]
        # In the settings, too: the result shows by what it was judged, and budgets are no part of its digest.
        out.append(replace(plan, budgets=budgets, settings={**plan.settings, "budgets": lines}))
    return out


def measured(
    plan: Scenario,
    *,
    seed: int,
    clock: Clock,
    engine: Engine = "stack",
    quiet: bool,
    strict: bool = False,
    wav_dir: Path | None = None,
    video_dir: Path | None = None,
) -> Result:
    """Place the call, with its progress on standard error, and return its judged result.

    Raises:
        BadInputError, MeasurementError: as ``run_probe``.
    """
    from rtcprobe.probe import run_probe
    from rtcprobe.report.progress import narrate
    from rtcprobe.verdict import judge

    with narrate(plan.name, quiet=quiet) as progress:
        result = run_probe(
            plan, seed=seed, clock=clock, engine=engine, progress=progress, wav_dir=wav_dir, video_dir=video_dir
        )
    # Judged once already by ``run_probe``, as scenarios are: strictness is the command's.
    return judge(result, plan.budgets, strict=True) if strict else result


def measuring_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` the flags that say what to measure; it gets them as one ``measuring``."""
    names = tuple(Measuring.__dataclass_fields__)

    @functools.wraps(command)
    def collected(**given: Any) -> int:
        measuring = Measuring(**{name: given.pop(name) for name in names})
        return command(measuring=measuring, **given)

    # click lists options in the order in which decorators stand, which is that of their application reversed.
    for option in reversed(_OPTIONS):
        option(collected)
    return collected


def _about_link(setting: str) -> bool:
    return setting.strip().partition("=")[0].split(".")[0].strip() == "link"
