"""The second service of the tests, put into the catalogue for one test at a time, and a broker for real workers."""

import tempfile
from pathlib import Path

import pytest
from celery import Celery


@pytest.fixture
def toys(settings):
    """The service of tests/toyservice: one INSTALLED_APPS line and nothing else."""
    from servers import catalog

    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "tests.toyservice"]
    yield catalog.find("toy.set")[0]
    catalog.forget("toy")


@pytest.fixture
def rings(monkeypatch):
    """Ids of the jobs the broker was told about: the wire to it ends here."""
    from controlpanel.celery import app

    heard = []
    monkeypatch.setattr(app, "send_task", lambda name, args, **options: heard.append(args[0]))
    return heard


@pytest.fixture
def toy_machine(tmp_path, monkeypatch):
    """A folder that stands for a server; `tests.toyservice.machine.dial` connects to it."""
    root = tmp_path / "machine"
    root.mkdir()
    monkeypatch.setenv("FLEETPOST_TOY_MACHINE", str(root))
    return root


@pytest.fixture
def folder():
    """Short, because the path of a socket has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="fp-") as path:
        yield Path(path)


@pytest.fixture
def broker(folder, monkeypatch):
    """A broker of the test's own, which `bell.ring` tells."""
    from controlpanel.celery import app
    from tests.jobs import processes

    running = processes.Broker(folder)
    told = Celery("tests", broker=running.url)
    monkeypatch.setattr(app, "send_task", told.send_task)
    yield running
    running.kill()
