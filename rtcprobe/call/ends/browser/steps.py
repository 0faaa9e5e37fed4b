"""What is done on a page until it calls: a short list of clicks and words, as a user's hands would.

A step is one of::

    click: "#start"                    # a selector of CSS, or playwright's own: text=Join
    fill: ["#room", "1234"]            # the words may be env:NAME or file:PATH
    press: ["#room", Enter]
    choose: ["select#codec", opus]     # of a list
    wait: "text=connected"             # for something to be seen

What is not on the page itself is looked for in its frames and popups. Words may hold ``{party}``, which is whose page
it is: ``fill: ["#name", "{party}"]``, ``env:TOKEN_{party}``.

Source of the selectors: playwright.dev, "Locators" and "Other locators".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from rtcprobe.call.ends.browser.launching import first_line
from rtcprobe.errors import BadInputError, MeasurementError, did_you_mean
from rtcprobe.scenario import TargetPlan
from rtcprobe.secrets import Secret, read_secret

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

__all__ = ["PARTY", "Step", "do", "read_steps"]

PARTY: Final = "{party}"
"""In a URL or in words: the name of whose page it is."""

_PAIRS: Final = ("fill", "press", "choose")
_VERBS: Final = ("click", *_PAIRS, "wait")
# No lobby asks for as many; each may take most of a join's time, so a list without a bound would have none either.
_MOST_STEPS: Final = 50
_BETWEEN_S: Final = 0.02
"""How often it is looked whether something has come: a join is told to a hundredth of a second of a hand's doing."""
# What playwright gets for a thing that was found in the last moment: 0 would mean no limit to it.
_LEAST_MS: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: ``verb``, on what, and with which words."""

    verb: str
    selector: str
    words: str | Secret = ""
    where: str = ""
    """Where it is written."""

    def __str__(self) -> str:
        return f"{self.verb} {self.selector}"

    def of(self, party: str) -> Step:
        """Return it as ``party`` does it.

        Raises:
            BadInputError: words that are named, and not to be found.
        """
        if isinstance(self.words, Secret) or PARTY not in self.words:
            return self
        return replace(self, words=_words(self.words.replace(PARTY, party), self.where))


def read_steps(plan: TargetPlan) -> tuple[Step, ...]:
    """Return the steps under ``target.steps``.

    Raises:
        BadInputError: what is no list of steps.
    """
    written = plan.options.get("steps", ())
    cure = 'write a list: [{click: "#start"}, {fill: ["#room", "1234"]}, {wait: "text=connected"}]'
    if not isinstance(written, Sequence) or isinstance(written, str):
        raise BadInputError(f"target.steps {written!r} is no list of steps", cure)
    if len(written) > _MOST_STEPS:
        raise BadInputError(f"target.steps has {len(written)} steps", f"give {_MOST_STEPS} at most")
    return tuple(_step(each, f"target.steps[{place}]", cure) for place, each in enumerate(written))


def _step(written: Any, where: str, cure: str) -> Step:
    if not isinstance(written, Mapping) or len(written) != 1:
        raise BadInputError(f"{where} {written!r} is no step", cure)
    verb, what = next(iter(written.items()))
    if verb not in _VERBS:
        raise BadInputError(f"{where}: {verb!r} is not known", did_you_mean(str(verb), _VERBS))
    if verb not in _PAIRS:
        if not isinstance(what, str) or not what:
            raise BadInputError(f"{where}: {verb} {what!r} names no selector", f'write {{{verb}: "#start"}}')
        return Step(verb=verb, selector=what)
    pair = isinstance(what, Sequence) and not isinstance(what, str) and len(what) == 2
    if not pair or not isinstance(what[0], str) or not what[0] or not isinstance(what[1], (str, int, float)):
        raise BadInputError(f"{where}: {verb} {what!r} is no pair", f'write {{{verb}: ["#room", "1234"]}}')
    words = str(what[1])
    return Step(verb=verb, selector=what[0], words=words if PARTY in words else _words(words, where), where=where)


def _words(written: str, where: str) -> str | Secret:
    return read_secret(written, where) if written.startswith(("env:", "file:")) else written


async def do(page: Page, steps: Sequence[Step], limit_s: float, begun: Callable[[str], None]) -> None:
    """Do all ``steps``, each within ``limit_s``; ``begun`` is told the name of each.

    Raises:
        MeasurementError: one cannot be done, in a sentence that names it.
    """
    from playwright.async_api import Error, TimeoutError  # noqa: A004, PLC0415 - an extra

    for number, step in enumerate(steps, 1):
        name = f"page step {number} of {len(steps)}, {step}"
        begun(name)
        until_s = monotonic() + limit_s
        try:
            found = await _found(page, step.selector, until_s)
            await _done(found, step, max(_LEAST_MS, (until_s - monotonic()) * 1e3))
        except TimeoutError:
            raise MeasurementError(
                f"{name}: nothing on the page, in its frames or popups could be taken for it within {limit_s:g} s",
                "look at the page, and give another selector",
            ) from None
        except Error as error:
            raise MeasurementError(f"{name}: {first_line(error)}") from error


async def _found(page: Page, selector: str, until_s: float) -> Locator:
    """Return the first thing to be seen that ``selector`` names: on the page, else in a frame of it or in a popup.

    What is never seen is returned of the page itself: who is to act on it waits until ``until_s``, and says why not.
    """
    from playwright.async_api import Error  # noqa: PLC0415 - an extra

    while True:
        # Popups are pages of the same context; the page itself comes first, as it was opened first.
        for frame in [frame for each in page.context.pages for frame in each.frames]:
            found = frame.locator(selector).first
            try:
                if await found.is_visible():
                    return found
            except Error as error:
                # A selector that is none is wrong in every frame: playwright's sentence about it is the answer.
                if "parsing" in str(error) or page.is_closed():
                    raise
                # A frame may go while it is asked.
        if monotonic() > until_s:
            return page.locator(selector).first
        await asyncio.sleep(_BETWEEN_S)


async def _done(found: Locator, step: Step, limit_ms: float) -> None:
    words = step.words.reveal() if isinstance(step.words, Secret) else step.words
    if step.verb == "click":
        # Without waiting for a navigation that the click may begin: when that is over is no part of the step.
        await found.click(timeout=limit_ms, no_wait_after=True)
    elif step.verb == "fill":
        await found.fill(words, timeout=limit_ms)
    elif step.verb == "press":
        await found.press(words, timeout=limit_ms)
    elif step.verb == "choose":
        await found.select_option(words, timeout=limit_ms)
    else:
        await found.wait_for(state="visible", timeout=limit_ms)
