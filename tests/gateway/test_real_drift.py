"""A server changed by hand in five ways: the regular look names each, and reapplying heals it."""

import pytest
from django.utils import timezone

from gateway import health
from gateway.models import Gateway
from gateway.postfix import paths
from servers.models import Server
from tests.gateway.test_main_job import LOGIN, enrol, run, told, values, want
from tests.gateway.test_main_job import account as account  # the fixture

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]

BY_HAND = [
    ("postconf -e 'relayhost = [elsewhere.example]:587' && postfix reload", "drifted", "main.cf differs: relayhost."),
    ("systemctl stop postfix", "broken", "Postfix does not run."),
    (
        f"for file in {paths.MAPS}/*/sasl_passwd; do echo x >>$file; done",
        "drifted",
        "The tables with the sign-in were changed.",
    ),
    (f"rm -r {paths.MAPS}", "drifted", "The tables with the sign-in are gone."),
    ("systemctl disable postfix", "drifted", "Postfix would not start after a reboot."),
]


def look(server: Server) -> Gateway:
    Gateway.objects.filter(server=server).update(look_due_at=timezone.now())
    assert health.sweep() == 1
    return Gateway.objects.get(server=server)


def test_five_changes_by_hand_are_named_and_healed(server, account, administrator):
    row = enrol(server)
    want(row, values(account), administrator)
    installed = run("install", row, administrator)
    assert installed.status == "succeeded", told(installed)
    first = look(row)
    assert (first.state, first.problems, first.diffs) == ("working", [], {}), first.problems
    for command, state, text in BY_HAND:
        before = server.run(["sha256sum", paths.MAIN_CF]).stdout
        server.run(command)
        by_hand = server.run(["sha256sum", paths.MAIN_CF]).stdout
        found = look(row)
        assert found.state == state and text in [one["text"] for one in found.problems], (command, found.problems)
        assert bool(found.diffs) == (before != by_hand)
        assert "canary" not in str((found.problems, found.diffs, found.reason)) and LOGIN not in str(found.problems)
        assert server.run(["sha256sum", paths.MAIN_CF]).stdout == by_hand, "a look changes nothing"
        assert run("reinstall", row, administrator).status == "succeeded"
        healed = look(row)
        assert (healed.state, healed.problems) == ("working", []), (command, healed.problems)
