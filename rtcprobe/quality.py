"""Listening and conversation quality from measured delay and loss: the E-model, R and MOS.

Facts:
    The E-model adds impairments on one scale: R = Ro − Is − Id − Ie-eff + A. It predicts the mean opinion of many
    users of a *planned* connection; it never hears the call. Only delay, echo path, loss and burst ratio come from
    the measurement: everything else is a default of the standard, and ``Quality.assumptions`` says so in sentences.

Rules:
    1. The scale is narrowband (300–3,400 Hz), best R 93.2. Opus sounds wider than that and the scale cannot credit
       it. G.107.1 (R to 129) and G.107.2 (R to 148) could, but the ITU publishes no Ie or Bpl of Opus for any of
       the three, and values of one scale mean nothing on another.
    2. Impossible arguments are refused. Measured ones beyond the permitted range of the model are rated all the
       same, with a sentence added: a bad call must still get its bad figure.

Source: ITU-T G.107 (06/2015), equations as cited at each step; defaults and permitted ranges from its clause 7.7.
STMR stays at its default, so the variants of clause 7.4 for STMR < 9 dB and > 20 dB never apply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from rtcprobe.errors import BadInputError
from rtcprobe.units import format_duration, format_ratio

__all__ = ["G711_PLC", "G729A", "OPUS", "Codec", "DelaySensitivity", "Quality"]
__all__ += ["burst_ratio", "conversation", "listening", "mos"]

# Defaults of G.107 clause 7.7: two handsets in quiet rooms on a digital connection.
_SLR, _RLR, _STMR, _LSTR = 8.0, 2.0, 15.0, 18.0  # dB, loudness ratings; STMR and LSTR are sidetone
_DS = 3.0  # dB, D-value of the telephone, send side
_TELR, _WEPL = 65.0, 110.0  # dB, talker echo loudness rating; weighted echo path loss
_PS, _PR = 35.0, 35.0  # dB(A), room noise at either side
_NC, _NFOR = -70.0, -64.0  # dBm0p, circuit noise; dBmp, noise floor at the receive side
_QDU = 1.0  # quantizing distortion units


class DelaySensitivity(Enum):
    """How much the talk minds delay: (sT, mT in ms). DEFAULT is telephony. Source: G.107 clause 7.4, Table 1."""

    DEFAULT = (1.0, 100.0)
    LOW = (0.55, 120.0)
    VERY_LOW = (0.4, 150.0)


def _within(what: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        span = f"from {low:g} up" if math.isinf(high) else f"from {low:g} to {high:g}"
        raise BadInputError(f"{what} is {value!r}", f"give a number {span}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """Ie, the impairment without loss, and Bpl, robustness to it; "Ie and Bpl are ``provenance``" is printed."""

    name: str
    ie: float
    bpl: float
    provenance: str

    def __post_init__(self) -> None:
        """Refuse what G.107 clause 7.7 does not permit."""
        _within(f"Ie of {self.name}", self.ie, 0, 40)
        _within(f"Bpl of {self.name}", self.bpl, 4.3, 40)


_DERIVED = (
    "provisional: the ITU gives none for Opus. They are the best narrowband row (11 kb/s: Ie 2.03, Bpl 15.95 under "
    "random loss) that Alahmadi, Pocta and Melvin derived, ACM TOMM 17(4), 2021, doi 10.1145/3458751"
)
_PLANNING = "planning values of ITU-T G.113 Appendix I"
OPUS = Codec(name="Opus", ie=2.0, bpl=16.0, provenance=_DERIVED)
G711_PLC = Codec(name="G.711 with concealment", ie=0.0, bpl=25.1, provenance=_PLANNING)
G729A = Codec(name="G.729A with VAD", ie=11.0, bpl=19.0, provenance=_PLANNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """R (unclamped), its MOS (1 to 4.5), each term of R by its E-model letter, and each assumption as a sentence."""

    r: float
    mos: float
    id: float
    ie_eff: float
    is_: float
    ro: float
    a: float
    assumptions: tuple[str, ...]


def burst_ratio(*calls: Sequence[bool]) -> float | None:
    """Return BurstR: mean length of the observed bursts over 1/(1−p), their mean length were the losses random.

    Each of ``calls`` holds one flag a packet in sequence order, true where it stayed lost; no burst spans two of them.
    None where nothing or everything was lost: there is no burst, or no random loss to compare with. Source: G.107
    clause 7.5.
    """
    bursts = [sum(1 for _ in run) for losses in calls for lost, run in groupby(losses, key=bool) if lost]
    total, packets = sum(bursts), sum(len(losses) for losses in calls)
    if total in (0, packets):
        return None
    return total / len(bursts) * (1 - total / packets)


def conversation(
    *,
    one_way_delay_s: float,
    loss_ratio: float,
    burst_ratio: float | None = None,
    codec: Codec = OPUS,
    echo_path_s: float | None = None,
    telr_db: float = _TELR,
    sensitivity: DelaySensitivity = DelaySensitivity.DEFAULT,
    advantage: float = 0.0,
) -> Quality:
    """Return how users would rate talking to each other (MOS-CQE).

    Args:
        one_way_delay_s: mouth-to-ear delay Ta.
        loss_ratio: share of packets (or of sound) still missing after every recovery, 0 to 1.
        burst_ratio: as ``burst_ratio()`` gives it; None takes the losses as random.
        codec: Ie and Bpl with their provenance.
        echo_path_s: T, mean one-way delay of the echo path: half the sum of both directions; None takes Ta.
        telr_db: how far below the voice its echo returns, 5 to 65 dB.
        sensitivity: delay sensitivity class of the conversation.
        advantage: A, allowance for what the access is worth to its user, 0 to 20.

    Raises:
        BadInputError: an argument that cannot be.
    """
    echo_s = one_way_delay_s if echo_path_s is None else echo_path_s
    for what, delay_s in (("one-way delay", one_way_delay_s), ("echo path delay", echo_s)):
        _within(f"{what} in seconds", delay_s, 0, math.inf)
    _within("TELR in dB", telr_db, 5, 65)
    _within("advantage factor A", advantage, 0, 20)
    ta, t = format_duration(one_way_delay_s, 1), format_duration(echo_s, 1)
    kind, free = sensitivity.name.lower().replace("_", " "), f"{sensitivity.value[1]:g} ms"
    said = [
        f"Mouth-to-ear delay {ta}, sensitivity class {kind!r}: nothing is charged up to {free} (G.107 Table 1).",
        f"Echo is assumed, not measured: {telr_db:g} dB below the voice (TELR), over {t} each way.",
    ]
    if max(one_way_delay_s, echo_s) > 0.5:
        said.append("Delay beyond 500 ms is outside the permitted range of G.107: the figure extrapolates.")
    terms = _terms(one_way_delay_s * 1e3, echo_s * 1e3, telr_db, sensitivity)
    return _quality((*terms, advantage), loss_ratio, burst_ratio, codec, said)


def listening(*, loss_ratio: float, burst_ratio: float | None = None, codec: Codec = OPUS) -> Quality:
    """Return how users would rate listening alone: ``conversation()`` without delay (MOS-LQ of RFC 3611 §4.7.5).

    Raises:
        BadInputError: an argument that cannot be.
    """
    said = ["Delay and echo are left out: this rates what is heard, not talking back (RFC 3611, MOS-LQ)."]
    # At no delay the echo terms are not quite nought: Idle of 0.15 stays, and is what makes 93.2 of Ro - Is.
    terms = _terms(0.0, 0.0, _TELR, DelaySensitivity.DEFAULT)
    return _quality((*terms, 0.0), loss_ratio, burst_ratio, codec, said)


def mos(r: float) -> float:
    """Return the mean opinion score of ``r``, 1 to 4.5. Source: G.107 Annex B, equation B-4.

    That polynomial dips to 0.99 between R 0 and 6.5; no opinion is below 1, so it is held there.
    """
    r = min(max(r, 0.0), 100.0)
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def _terms(ta: float, t: float, telr: float, sensitivity: DelaySensitivity) -> tuple[float, float, float]:
    """Ro, Is and Id (equations 7-2, 7-8, 7-18); the round trip Tr of listener echo is 2T."""
    no = _noise()
    ro = 15 - 1.5 * (_SLR + no)
    id_ = _talker_echo(no, t, telr) + _listener_echo(ro, 2 * t) + _absolute_delay(ta, *sensitivity.value)
    return ro, _simultaneous(no, ro, t, telr), id_


def _quality(
    terms: tuple[float, ...], loss_ratio: float, burst: float | None, codec: Codec, said: list[str]
) -> Quality:
    """R by equation 7-1 from Ro, Is, Id, A and the Ie-eff of 7-29."""
    _within("loss ratio", loss_ratio, 0, 1)
    if burst is not None and not (math.isfinite(burst) and burst > 0):
        raise BadInputError(f"burst ratio is {burst!r}", "give a number above 0, or None for random loss")
    ro, is_, id_, a = terms
    ppl = loss_ratio * 100
    # 95 is what losing everything at random comes to; long bursts, which G.107 does not vouch for, would cost more.
    spoilt = min(1.0, ppl / (ppl / max(burst or 1.0, 1.0) + codec.bpl))
    ie_eff = codec.ie + (95 - codec.ie) * spoilt
    r = ro - is_ - id_ - ie_eff + a
    scale = "R and MOS are narrowband, ITU-T G.107 (06/2015), at best 93.2 and 4.41: a wider audio band earns nothing "
    scale += "here, and wideband or fullband figures must not be set beside them."
    source = f"{codec.name}: Ie {codec.ie:g} and Bpl {codec.bpl:g} are {codec.provenance}."
    rest = f"All else stands at the defaults of G.107 (two handsets, rooms at 35 dB(A)); advantage factor A = {a:g}."
    assumptions = (scale, source, *_said_of_loss(loss_ratio, burst), *said, rest)
    return Quality(r=r, mos=mos(r), id=id_, ie_eff=ie_eff, is_=is_, ro=ro, a=a, assumptions=assumptions)


def _said_of_loss(loss_ratio: float, burst: float | None) -> list[str]:
    shape = "taken as random" if burst is None else f"burst ratio {burst:.2f}"
    if burst is not None and burst < 1:
        # Losses that are more even than random have a ratio below 1; by 7-29 they would be charged less than
        # the codec's own Bpl was measured with.
        shape += ", rated as 1: the model knows nothing gentler than random loss"
    said = [f"Loss after recovery {format_ratio(loss_ratio)}, {shape} (G.107 clause 7.5)."]
    if loss_ratio > 0.2:
        said.append("Loss beyond 20% is outside the permitted range of G.107: the figure extrapolates.")
    if burst is not None and (burst > 8 or (burst > 2 and loss_ratio >= 0.02)):
        said.append("G.107 vouches for burst ratios to 2, or to 8 below 2% loss: the figure extrapolates.")
    return said


def _noise() -> float:
    """No: circuit, room and floor noise added as powers at the 0 dBr point, dBm0p. Equations 7-3 to 7-7."""
    # Nos (7-4) is the room at the send side, Pre (7-6) the room at the receive side with what the sidetone
    # adds to it, Nor (7-5) what the ear hears of it; Nfo (7-7) is the floor, brought to 0 dBr by RLR.
    nos = _PS - _SLR - _DS - 100 + 0.004 * (_PS - _SLR - _RLR - _DS - 14) ** 2
    pre = _PR + 10 * math.log10(1 + 10 ** ((10 - _LSTR) / 10))
    nor = _RLR - 121 + pre + 0.008 * (pre - 35) ** 2
    return 10 * math.log10(sum(10 ** (level / 10) for level in (_NC, nos, nor, _NFOR + _RLR)))


def _simultaneous(no: float, ro: float, t: float, telr: float) -> float:
    """Is: too loud a connection (Iolr), wrong sidetone (Ist), quantizing (Iq). Equations 7-8 to 7-17."""
    # Xolr over 8 (7-10), and Iolr of it (7-9).
    x = (_SLR + _RLR + 0.2 * (64 + no - _RLR)) / 8
    iolr = 20 * (_knee(x, 8) - x)
    # Echo that returns within some ms blends with the sidetone.
    stmro = -10 * math.log10(10 ** (-_STMR / 10) + math.exp(-t / 4) * 10 ** (-telr / 10))
    # Ist (7-11) of STMRo (7-12); then Q, G, Y and Z (7-17, 7-16, 7-14, 7-15) of Iq (7-13).
    ist = 12 * _knee((stmro - 13) / 6, 8) - 28 * _knee((stmro + 1) / 19.4, 35) - 13 * _knee((stmro - 3) / 33, 13) + 29
    q = 37 - 15 * math.log10(_QDU)
    g = 1.07 + 0.258 * q + 0.0602 * q**2
    y, z = (ro - 100) / 15 + 46 / 8.4 - g / 9, 46 / 30 - g / 40
    return iolr + ist + 15 * math.log10(1 + 10**y + 10**z)


def _talker_echo(no: float, t: float, telr: float) -> float:
    """Idte: my own voice back after 2T. Equations 7-19 to 7-22: 0 below 1 ms, and as written −0.1 to 0 up to 4 ms."""
    if t < 1:
        return 0.0
    # TERV (7-22); then (Roe - Re) / 2 by 7-20 and 7-21, and Idte by 7-19. T in ms, here and below.
    terv = telr - 40 * math.log10((1 + t / 10) / (1 + t / 150)) + 6 * math.exp(-0.3 * t**2)
    half = (-1.5 * (no - _RLR) - (80 + 2.5 * (terv - 14))) / 2
    return (half + math.hypot(half, 10) - 1) * (1 - math.exp(-t))


def _listener_echo(ro: float, tr: float) -> float:
    """Idle: the other's voice heard twice, Tr apart. Equations 7-25 and 7-26."""
    # (Ro - Rle) / 2 by 7-26.
    half = (ro - 10.5 * (_WEPL + 7) / math.pow(tr + 1, 0.25)) / 2
    return half + math.hypot(half, 13)


def _absolute_delay(ta: float, st: float, mt: float) -> float:
    """Idd: talking past each other, even with no echo at all. Equations 7-27 and 7-28."""
    # X of 7-28; below mT the delay costs nothing, which is what the floor at 1 says.
    x = math.log2(max(ta / mt, 1.0))
    return 25 * (_knee(x, 6 * st) - 3 * _knee(x / 3, 6 * st) + 2)


def _knee(x: float, n: float) -> float:
    """Return the one bend the E-model is built of, (1 + xⁿ)^(1/n): near 1 for small ``x``, near ``x`` for large."""
    return math.pow(1 + math.pow(x, n), 1 / n)
