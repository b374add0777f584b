"""pytest plugin: real servers as fixtures. Load with pytest_plugins = ["tests.fleet.fixtures"].

FLEETPOST_FLEET_DISTROS chooses what `each_server` runs over: names, or "all". Every test that uses a
fleet fixture carries the marker `fleet`.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fleet.badhost import BadProvider
from tests.fleet.fleet import Fleet
from tests.fleet.host import obstacles
from tests.fleet.labels import reserved_label
from tests.fleet.pool import Pool
from tests.fleet.provider import Provider
from tests.fleet.recipe import DISTROS
from tests.fleet.server import FleetServer

SPARE = ["debian12", "debian12"]


def chosen_distros() -> list[str]:
    wanted = os.environ.get("FLEETPOST_FLEET_DISTROS", "debian12 ubuntu2404")
    return list(DISTROS) if wanted == "all" else wanted.replace(",", " ").split()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fleet: boots real servers; needs root on Debian")


@pytest.hookimpl(tryfirst=True)  # before -m looks at the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "fleet" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.fleet)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "each_server" in metafunc.fixturenames:
        metafunc.parametrize("each_server", chosen_distros(), indirect=True)


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """The running fleet, shared by the session. Use `server` for one that you may change."""
    if reasons := obstacles():
        pytest.skip("real servers cannot run here: " + "; ".join(reasons))
    with reserved_label("test") as label, Fleet(label, [*chosen_distros(), *SPARE]) as running:
        yield running


@pytest.fixture(scope="session")
def pool(fleet: Fleet) -> Iterator[Pool]:
    pool = Pool(fleet)
    yield pool
    pool.close()


@pytest.fixture
def server(request: pytest.FixtureRequest, pool: Pool) -> Iterator[FleetServer]:
    """A fresh Debian 12; another by parametrize("server", ["ubuntu2404"], indirect=True)."""
    with pool.lend(getattr(request, "param", "debian12")) as lent:
        yield lent


@pytest.fixture
def each_server(request: pytest.FixtureRequest, pool: Pool) -> Iterator[FleetServer]:
    """A fresh server of every chosen distro in turn."""
    with pool.lend(request.param) as lent:
        yield lent


@pytest.fixture
def servers(request: pytest.FixtureRequest, pool: Pool) -> Iterator[list[FleetServer]]:
    """Fresh servers side by side; which ones by indirect parametrize with a list of distros."""
    distros = getattr(request, "param", ["debian12", "debian12", "ubuntu2404"])
    with ExitStack() as lent:
        yield [lent.enter_context(pool.lend(distro)) for distro in distros]


@pytest.fixture
def provider(fleet: Fleet) -> Provider:
    """The real provider without mail, with the fleet's own account only (fleet.ACCOUNT)."""
    fleet.provider.restore()
    return fleet.provider


@pytest.fixture
def bad_provider(fleet: Fleet) -> BadProvider:
    """Every fault of faults.FAULTS, with an empty record."""
    fleet.bad_provider.forget()
    return fleet.bad_provider
