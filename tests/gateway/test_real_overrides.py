"""A limit that a person changes reaches the server with the next install, and is no change by hand until then."""

import pytest

from gateway import overrides
from gateway.models import Gateway, Smarthost
from tests.gateway.test_main_job import account as account  # the fixture
from tests.gateway.test_main_job import enrol, run, told, values, want
from tests.gateway.test_real_drift import look

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]


def pause(server) -> str:
    return server.run(["postconf", "-hx", "smtp_destination_rate_delay"]).stdout.strip()


def test_a_changed_limit_waits_for_the_next_install(server, account, administrator):
    row = enrol(server)
    want(row, values(account), administrator)
    overrides.change("generic", {"limits.per_minute": 60}, by=administrator)
    installed = run("install", row, administrator)
    assert installed.status == "succeeded", told(installed)
    assert pause(server) == "1s"
    overrides.change("generic", {"limits.per_minute": 20}, by=administrator)
    found = look(row)
    assert (found.state, found.problems, pause(server)) == (Gateway.State.WORKING, [], "1s")
    assert found.applied_revision < Smarthost.objects.get(pk=found.applied_id).revision
    again = run("reinstall", row, administrator)
    assert again.status == "succeeded", told(again)
    assert pause(server) == "3s"
    overrides.reset("generic", by=administrator)
    assert look(row).state == Gateway.State.WORKING
    assert run("reinstall", row, administrator).status == "succeeded"
    assert pause(server) == "0s"
    after = look(row)
    assert (after.state, after.problems, after.diffs) == (Gateway.State.WORKING, [], {})
