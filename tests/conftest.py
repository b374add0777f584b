"""What every test gets: a throw-away data folder, a file database that threads can share, people of each role."""

import importlib.util
import shutil
import tempfile
from pathlib import Path

import pytest
from django.test import Client, override_settings

from controlpanel.celery import app
from tests import factories

pytest_plugins = [name for name in ("tests.fleet.fixtures",) if importlib.util.find_spec(name)]

_folder = Path(tempfile.mkdtemp(prefix="fleetpost-tests-"))
(_folder / "static").mkdir()
_surroundings = override_settings(
    DATA_DIR=_folder,
    STATIC_ROOT=_folder / "static",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # argon2 costs 50 ms a person, on purpose
    STORAGES={
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    },
    JOB_HEARTBEAT_SECONDS=0,  # a second thread would wait for the test's own transaction
    CELERY_TASK_ALWAYS_EAGER=False,
)


def pytest_configure(config):
    _surroundings.enable()
    app.conf.broker_url = "memory://"  # rings are heard by nobody, as when the broker is down, and without complaint


def pytest_unconfigure(config):
    shutil.rmtree(_folder, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory):
    """SQLite in a file: an in-memory database is one connection, on which no race can happen."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """The audit log's triggers would refuse the emptying of tables after a transactional test; tests/access/test_audit
    puts them back for its own tests."""
    from django.db import connection

    from controlpanel.access import triggers

    with django_db_blocker.unblock(), connection.schema_editor() as schema:
        triggers.remove(schema)


def _signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture
def administrator(db):
    return factories.AdministratorFactory()


@pytest.fixture
def operator(db):
    return factories.OperatorFactory()


@pytest.fixture
def viewer(db):
    return factories.ViewerFactory()


@pytest.fixture
def customer(db):
    """Sees no server until a test assigns one: `server.people.add(customer)`."""
    return factories.CustomerFactory()


@pytest.fixture
def administrator_client(administrator):
    return _signed_in(administrator)


@pytest.fixture
def operator_client(operator):
    return _signed_in(operator)


@pytest.fixture
def viewer_client(viewer):
    return _signed_in(viewer)


@pytest.fixture
def customer_client(customer):
    return _signed_in(customer)
