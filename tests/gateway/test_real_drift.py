"""A server changed by hand in five ways: the regular look names each, and reapplying heals it, or a person keeps it.
And what changes at the provider: the look finds a certificate near its end and a password that is no longer right."""

from datetime import timedelta

import pytest
from django.utils import timezone

from gateway import adopting, health, keeping
from gateway.models import Gateway
from gateway.postfix import paths
from servers.jobs import runner
from servers.models import Server
from tests.fleet.provider_config import NAME
from tests.gateway.test_main_job import CANARY, LOGIN, enrol, run, told, values, want
from tests.gateway.test_main_job import account as account  # the fixture

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]

ORIGINAL = (
    "# ours\ncompatibility_level = 3.5\nsmtp_tls_loglevel = 0\nmydestination = localhost\nrelayhost =\n# the end\n"
)
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


def look(server: Server, *, tried: timedelta | None = None) -> Gateway:
    """tried: so long ago was the account tried last; None leaves that as it is."""
    rows = Gateway.objects.filter(server=server)
    rows.update(look_due_at=timezone.now(), **({"signed_in_at": timezone.now() - tried} if tried else {}))
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


def test_a_change_that_is_kept_outlives_a_reinstall_and_an_uninstall_puts_back_the_original(
    server, account, administrator
):
    """What was there before the gateway had a value of its own for the parameter that is changed by hand."""
    server.run("echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections")
    server.install("postfix")
    server.write_file(paths.MAIN_CF, ORIGINAL)
    server.run("newaliases 2>/dev/null; systemctl restart postfix")
    row = enrol(server)
    want(row, values(account), administrator)
    installed = run("install", row, administrator)
    assert installed.status == "succeeded", told(installed)
    server.run("echo 'smtp_tls_loglevel = 2' >>/etc/postfix/main.cf; postconf -X smtp_sasl_tls_security_options")
    by_hand = server.run(["sha256sum", paths.MAIN_CF]).stdout
    drifted = look(row)
    changes = keeping.changes(drifted)
    assert changes["smtp_tls_loglevel"] == ["2", "1"], changes
    with pytest.raises(adopting.Refused):
        keeping.adopt(row, changes, shown=keeping.digest(changes), by=administrator)

    asked = keeping.adopt(row, ["smtp_tls_loglevel"], shown=keeping.digest(changes), by=administrator)
    runner.run_here(asked.jobs.get())
    left = Gateway.objects.get(server=row)
    assert list(keeping.changes(left)) == ["smtp_sasl_tls_security_options"]
    server.run("postconf -e 'smtp_sasl_tls_security_options = noanonymous'")
    checked = run("check", row, administrator)
    assert checked.outcome == "The email gateway is as it was installed.", told(checked)
    assert server.run(["grep", "-c", "smtp_tls_loglevel", paths.MAIN_CF]).stdout.strip() == "2"

    reinstalled = run("reinstall", row, administrator)
    assert reinstalled.status == "succeeded", told(reinstalled)
    assert server.run("postconf -h smtp_tls_loglevel 2>/dev/null").stdout.strip() == "2"
    assert '"kept": {\n  "smtp_tls_loglevel": "2"' in server.run(["cat", paths.MANIFEST]).stdout
    assert run("reinstall", row, administrator).outcome.startswith("Nothing"), "the record is complete now"
    assert server.run(["sha256sum", paths.MAIN_CF]).stdout != by_hand, "the other change was put right by hand"

    assert run("uninstall", row, administrator).status == "succeeded"
    assert server.read_file(paths.MAIN_CF).decode() == ORIGINAL
    assert Gateway.objects.get(server=row).kept == {}


def test_a_certificate_near_its_end_and_a_changed_password_are_found_by_the_look(fleet, server, account, administrator):
    row = enrol(server)
    want(row, values(account), administrator)
    assert run("install", row, administrator).status == "succeeded"
    ending = fleet.authority.issue(NAME, days=9)
    usual = account.certificate
    account.replace_files({"/etc/postfix/fleet.pem": ending.key + ending.chain})
    try:
        near = look(row, tried=timedelta(days=3))
        assert [(one["slug"], one["state"]) for one in near.problems] == [("certificate", "warn")], near.problems
        assert near.state == "working" and near.certificate_until < timezone.now() + timedelta(days=9)
        assert account.messages() == [], "nothing is sent"
    finally:
        account.replace_files({"/etc/postfix/fleet.pem": usual.key + usual.chain})

    account.add_user(LOGIN, "another-password-7c1", ["@example.org"])
    doubt = look(row, tried=timedelta(days=3))
    assert (doubt.state, doubt.problems[0]["state"]) == ("working", "unknown"), doubt.problems
    sure = look(row, tried=timedelta(minutes=5))
    assert (sure.state, sure.problems[0]["slug"], sure.problems[0]["state"]) == ("broken", "sign-in", "fail")
    assert "password" in sure.reason and CANARY not in str((sure.problems, sure.reason))
    checked = run("check", row, administrator)
    assert (checked.status, checked.cause) == ("failed", "sign-in") and sure.reason in checked.outcome, told(checked)
    assert checked.result["explanation"]["area"] == "credentials"
    later = look(row)
    assert (later.state, later.problems) == ("broken", sure.problems)
    account.add_user(LOGIN, CANARY, ["@example.org"])
    healed = look(row, tried=timedelta(hours=2))
    assert (healed.state, healed.problems) == ("working", []), healed.problems
