"""One folder and one INSTALLED_APPS line are a whole service: nothing in the panel knows its name."""

import importlib
import subprocess

import pytest
from django.urls import clear_url_caches, reverse

import controlpanel.urls
import servers.urls
from controlpanel.access.models import AuditEntry
from servers import catalog
from servers.jobs import runner
from servers.jobs.models import Job
from tests.factories import ServerFactory
from tests.toyservice.machine import dial

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "toy_machine")]


def _mount_again() -> None:
    clear_url_caches()
    importlib.reload(servers.urls)
    importlib.reload(controlpanel.urls)


@pytest.fixture
def toy_pages(toys):
    """The addresses of a panel that was started with the second service."""
    _mount_again()
    yield toys
    catalog.forget(toys.slug)
    _mount_again()


def test_the_second_service_works_from_its_card_to_the_audit_log(toy_pages, operator_client):
    server = ServerFactory()
    services = reverse("servers:services", args=[server.pk])
    assert "Write the note" in operator_client.get(services).content.decode()

    answer = operator_client.post(reverse("toy:set", args=[server.pk]))
    job = Job.objects.get()
    assert answer.headers["Location"] == reverse("jobs:job", args=[job.pk])
    assert AuditEntry.objects.get().verb == "asked for “Write the note”"

    assert runner.run_here(job, dial).status == "succeeded"
    assert "Write the note" in operator_client.get(reverse("jobs:list")).content.decode()
    assert "The note is written." in operator_client.get(answer.headers["Location"]).content.decode()
    assert "Succeeded" in operator_client.get(services).content.decode()
    assert "Note" in operator_client.get(reverse("servers:list")).content.decode()


def test_nothing_in_the_panel_names_the_second_service():
    found = subprocess.run(
        [
            "grep",
            "-rliE",
            "toyservice|toy[.:]",
            "servers",
            "controlpanel",
            "gateway",
            "templates",
            "static/js",
            "static/css",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
