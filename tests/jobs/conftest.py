"""The second service of the tests, put into the catalogue for one test at a time."""

import pytest


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
