"""Real servers for the live tests: each started when first asked for, ended with the session.

Rules:
    1. Everything here happens in a network of the tests' own (``servers/network.py``), entered before the first test.
    2. A server that is not installed skips its tests with the command that installs it; ``RTCPROBE_LIVE=required``,
       set in CI, fails them instead.
    3. Probe and servers go before whatever else the machine does (round robin, real time), where root may say so:
       otherwise a neighbour's work would be measured.
    4. What is marked ``beside`` holds no process to milliseconds. ``.ci/live`` runs it in a process of its own, beside
       the others and behind them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "servers"))

from certificates import Authority  # noqa: E402 - the folder must be named first
from coturn import Coturn  # noqa: E402
from janus import Janus  # noqa: E402
from network import LiveNetwork, enter  # noqa: E402
from presence import INSTALLED, missing, need  # noqa: E402
from process import ServerProcess  # noqa: E402
from rtpengine import Rtpengine  # noqa: E402
from services import AiortcEcho, ChromiumPeer, PionEcho, PionSfu  # noqa: E402
from whip import Whep, Whip  # noqa: E402

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BESIDE = {
    "test_janus_faults", "test_janus_session", "test_joins_under_loss", "test_monitoring_files", "test_page_faults",
    "test_planted_secret", "test_prometheus", "test_pushgateway", "test_report_page",
    "test_serve_outside", "test_sweep_dask",
}  # fmt: skip
"""Files whose tests are all marked ``beside``; of others, single tests are."""


@pytest.hookimpl(tryfirst=True)  # before marks are asked for
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in BESIDE:
            item.add_marker(pytest.mark.beside)
    if config.option.markexpr == "beside":
        # From the other end, file by file: the others begin with browsers, and two at once take all of two cores.
        items.sort(key=lambda item: item.path, reverse=True)


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> LiveNetwork | None:
    with suppress(PermissionError, AttributeError):  # not root, or not Linux
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return enter()


@pytest.fixture(scope="session")
def network(_own_network: LiveNetwork | None) -> LiveNetwork:
    """Where servers and probe meet."""
    if _own_network is None:
        missing("an address that is not the loopback's (run as root, or give the machine one)")
        raise AssertionError
    return _own_network


@pytest.fixture(scope="session")
def _running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the servers' certificates; its own is the file ``authority.ca``."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def janus(
    network: LiveNetwork, authority: Authority, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack
) -> Janus:
    """A Janus that all tests share."""
    need("janus")
    server = Janus(network.address, tmp_path_factory.mktemp("janus"), authority.sign("janus", network.address))
    return _started(server, _running)


@pytest.fixture
def own_janus(network: LiveNetwork, tmp_path: Path) -> Iterator[Callable[..., Janus]]:
    """Starts a Janus of the test's own, to be killed or locked."""
    need("janus")
    with ExitStack() as stack:
        yield lambda **options: _started(Janus(network.address, tmp_path / "janus", **options), stack)


@pytest.fixture(scope="session")
def whip(janus: Janus, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> Whip:
    need("node")
    need(str(INSTALLED / "whip" / "server.js"))
    return _started(Whip(janus, tmp_path_factory.mktemp("whip"), INSTALLED), _running)


@pytest.fixture(scope="session")
def whep(janus: Janus, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> Whep:
    need("node")
    need(str(INSTALLED / "npm" / "node_modules" / "janus-whep-server"))
    return _started(Whep(janus, tmp_path_factory.mktemp("whep"), INSTALLED), _running)


@pytest.fixture(scope="session")
def tshark(network: LiveNetwork) -> str:
    """The capturing command; it wants the right to look, root's or that of a network of one's own."""
    need("tshark")
    if not network.own and os.geteuid() != 0:
        missing("the right to capture packets")
    return "tshark"


@pytest.fixture(scope="session")
def turn_certificate(network: LiveNetwork, authority: Authority) -> tuple[Path, Path]:
    return authority.sign("coturn", network.address)


@pytest.fixture(scope="session")
def coturn(
    network: LiveNetwork,
    turn_certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
    _running: ExitStack,
) -> Coturn:
    """TURN with long-term credentials."""
    need("turnserver")
    return _started(Coturn(network.address, tmp_path_factory.mktemp("coturn"), turn_certificate), _running)


@pytest.fixture(scope="session")
def rest_coturn(
    network: LiveNetwork,
    turn_certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
    _running: ExitStack,
) -> Coturn:
    """TURN with credentials made of a shared secret."""
    need("turnserver")
    folder = tmp_path_factory.mktemp("rest-coturn")
    return _started(Coturn(network.address, folder, turn_certificate, rest=True), _running)


@pytest.fixture(scope="session")
def pion(network: LiveNetwork, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> PionEcho:
    need(str(INSTALLED / "pion-echo"))
    return _started(PionEcho(network.address, tmp_path_factory.mktemp("pion"), INSTALLED), _running)


@pytest.fixture(scope="session")
def pion_sfu(network: LiveNetwork, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> PionSfu:
    need(str(INSTALLED / "pion-sfu"))
    return _started(PionSfu(network.address, tmp_path_factory.mktemp("pion-sfu"), INSTALLED), _running)


@pytest.fixture(scope="session")
def rtpengine(network: LiveNetwork, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> Rtpengine:
    """An rtpengine that all tests share."""
    need("rtpengine")
    return _started(Rtpengine(network.address, tmp_path_factory.mktemp("rtpengine")), _running)


@pytest.fixture
def own_rtpengine(network: LiveNetwork, tmp_path: Path) -> Iterator[Rtpengine]:
    """One of the test's own, to be killed."""
    need("rtpengine")
    with ExitStack() as stack:
        yield _started(Rtpengine(network.address, tmp_path / "rtpengine"), stack)


@pytest.fixture(scope="session")
def aiortc_echo(network: LiveNetwork, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> AiortcEcho:
    return _started(AiortcEcho(network.address, tmp_path_factory.mktemp("aiortc")), _running)


@pytest.fixture(scope="session")
def chromium(network: LiveNetwork, tmp_path_factory: pytest.TempPathFactory, _running: ExitStack) -> ChromiumPeer:
    need(*BROWSERS)
    if find_spec("playwright") is None:
        missing("playwright")
    return _started(ChromiumPeer(network.address, tmp_path_factory.mktemp("chromium")), _running)


def _started(server: object, stack: ExitStack) -> object:
    """Start ``server``; it is stopped when ``stack`` is left."""
    process: ServerProcess = server.process
    stack.callback(process.stop)
    server.start()
    return server
