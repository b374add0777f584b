"""Providers that lie, flood, dribble and echo: the jobs end, name the cause, and keep and show nothing harmful."""

import base64
import json
import re
import resource
from contextlib import contextmanager

import pytest
from django.core import serializers
from django.urls import reverse

from gateway import diagnosing, proving, sending, smarthosts
from gateway.models import Gateway, TestEmail
from gateway.proof import proving as conversation
from servers.jobs.models import Job, Status
from servers.models import Server
from tests.fleet.faults import FAULTS
from tests.gateway.test_main_job import CANARY, LOGIN, account, enrol, panel_texts, run, values, want  # noqa: F401

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]

CAUSES = {
    "webserver": "not-a-mail-server",
    "terminal": "family-sign-in",
    "hugebanner": "not-a-mail-server",
    "endless": "not-a-mail-server",
    "drips": "conversation-timed-out",
    "echoes": "family-sign-in",
    "garbage": "family-sign-in",
    "reversed": "family-sign-in",
    "pretends": "family-policy",
    "boasts": "not-a-mail-server",
    "hangsup": "connection-lost",
}
# Only a message shows what these are.
FINE = ("forges", "nodata", "lies")
# What becomes of a test email at a provider to which Postfix comes all the way.
DELIVERIES = {
    "terminal": "deferred",
    "drips": "queued",
    "echoes": "deferred",
    "garbage": "deferred",
    "reversed": "deferred",
    "pretends": "bounced",
    "forges": "bounced",
    "hangsup": "deferred",
    "nodata": "deferred",
    "lies": "sent",
}
PLAIN = base64.b64encode(f"\0{LOGIN}\0{CANARY}".encode()).decode()
SECRETS = (CANARY, CANARY.partition(" é")[0], base64.b64encode(CANARY.encode()).decode(), PLAIN)
# Terminal codes, bidirectional and zero-width characters, as JSON writes them.
HARMFUL = re.compile(r"\\u(00[01].|007f|00[89].|200[b-f]|202[a-e]|206[0-9]|feff)")
MEMORY = 100_000  # kB; the floods alone are 10 MB each, many times over


@contextmanager
def patience(fault: str):
    """Little with the one that never comes to an end; where the machine is busy, all others may need theirs."""
    with pytest.MonkeyPatch.context() as patch:
        if fault == "drips":
            patch.setattr(diagnosing, "PATIENCE", 2)
            patch.setattr(proving, "PATIENCE", 2)
            patch.setattr(conversation, "TOTAL", 6)
            patch.setattr(sending, "WAIT", 6)
        yield


@pytest.fixture
def harmless(administrator_client):
    """Asserts that what is stored of a job and what its pages show can harm nobody."""

    def check(job: Job) -> None:
        stored = panel_texts() + serializers.serialize("json", [*Gateway.objects.all(), *TestEmail.objects.all()])
        assert not any(json.dumps(secret)[1:-1] in stored for secret in SECRETS)
        assert not HARMFUL.search(stored), HARMFUL.search(stored)
        places = [("jobs:job", job.pk), ("servers:services", job.server_id), ("servers:jobs", job.server_id)]
        pages = [reverse(name, args=[key]) for name, key in places] + [reverse("test-emails")]
        if job.action.endswith("diagnose"):
            pages.append(reverse("gateway:diagnosed", args=[job.server_id, job.pk]))
        for page in pages:
            html = administrator_client.get(page).content.decode()
            assert "canary" not in html and PLAIN not in html, page
            assert "<script>alert" not in html and "<b>bold" not in html, page
            assert not HARMFUL.search(json.dumps(html)), (page, HARMFUL.search(json.dumps(html)))

    return check


def memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def helpful(job: Job) -> bool:
    return bool(job.outcome and job.hint) and not re.search(r"[\x00-\x1f\x7f]", job.outcome + job.hint)


def test_a_diagnosis_and_an_install_survive_them(server, provider, bad_provider, administrator, harmless):
    row: Server = enrol(server)
    before = memory()
    for fault, cause in CAUSES.items():
        smarthost = smarthosts.own(row, values(provider, host=FAULTS[fault].host), by=administrator)
        with patience(fault):
            job = run("diagnose", row, administrator, smarthost=str(smarthost.pk))
        assert (job.status, job.cause) == (Status.FAILED, cause), (fault, job.outcome, job.result)
        assert helpful(job), (fault, job.outcome, job.hint)
        harmless(job)
        want(row, values(provider, host=FAULTS[fault].host), administrator)
        with patience(fault):
            job = run("install", row, administrator)
        assert (job.status, job.cause, job.changed) == (Status.FAILED, cause, False), (fault, job.outcome, job.result)
        assert helpful(job), (fault, job.outcome, job.hint)
        harmless(job)
    assert not server.exists("/usr/sbin/postfix")
    for fault in FINE:
        smarthost = smarthosts.own(row, values(provider, host=FAULTS[fault].host), by=administrator)
        job = run("diagnose", row, administrator, smarthost=str(smarthost.pk))
        assert job.status == Status.SUCCEEDED, (fault, job.outcome, job.result)
    assert memory() - before < MEMORY


def test_a_test_email_survives_them(server, account, bad_provider, administrator, harmless):  # noqa: F811
    row = enrol(server)
    want(row, values(account), administrator)
    assert run("install", row, administrator).status == Status.SUCCEEDED
    here = account.host
    for fault, delivery in DELIVERIES.items():
        there = FAULTS[fault].host
        server.run(f"grep -rl '{here}' /etc/postfix /var/lib/fleetpost/gateway | xargs sed -i 's/{here}/{there}/g'")
        server.run("postsuper -d ALL; postfix reload", check=False)
        here = there
        with patience(fault):
            job = run("test", row, administrator, recipient="somebody@example.net", mail={})
        assert job.result["delivery"] == delivery, (fault, job.outcome, job.result)
        assert job.status == (Status.SUCCEEDED if delivery == "sent" else Status.FAILED), (fault, job.outcome)
        assert delivery == "sent" or (helpful(job) and job.cause != "unknown"), (fault, job.outcome, job.hint)
        harmless(job)
