"""A gateway on a clean server: it delivers, changes without a restart, rolls back, and goes without a trace."""

from dataclasses import replace

import pytest

from servers.remote.plan import Plan
from servers.remote.secret import Secret
from tests.fleet.fleet import ACCOUNT
from tests.gateway.postfix.hands import apply, carry_out, look, relay, send, state

pytestmark = pytest.mark.fleet
STRANGE = ["trailing  ", " # : { / & $x $$ ' \" \\ % ", "$(id)`id`${HOME}\\", "naïve 🔑 key", "x" * 500]


def test_second_plan_is_empty(installed):
    assert look(installed, relay()).empty
    assert not installed.failed_units()


def test_mail_of_programs_and_people_reaches_the_provider(installed, provider):
    delivery = send(installed, "app@example.org", "someone@elsewhere.test", token="install-0001")
    assert delivery.delivery == "sent", delivery
    assert delivery.provider_id and delivery.relay.startswith("smtp.provider.test[")
    installed.run("echo cron | sendmail -i root; echo web | su -s /bin/sh -c 'sendmail -i who@elsewhere.test' www-data")
    mails = provider.wait_for_messages(3)
    assert {str(mail["Delivered-To"]) for mail in mails[1:]} == {"admin@example.org", "who@elsewhere.test"}
    assert {str(mail["From"].addresses[0].addr_spec) for mail in mails[1:]} == {
        "root@example.org",
        "www-data@example.org",
    }


def test_new_password_is_a_reload_and_nothing_else(installed, provider):
    pid = installed.read_file("/var/spool/postfix/pid/master.pid")
    provider.add_user(ACCOUNT.login, "another", ACCOUNT.senders)
    done = apply(installed, relay(password=Secret("another")))
    assert not done.failed, done.output
    assert [step.slug for step in done.plan.steps] == ["maps", "check", "configure", "service", "probe", "tidy"]
    assert not done.plan.restarts and installed.read_file("/var/spool/postfix/pid/master.pid") == pid
    assert send(installed, "app@example.org", "x@elsewhere.test", token="reload-0001").delivery == "sent"
    assert len(installed.run("ls /etc/postfix/fleetpost").stdout.split()) == 1
    provider.restore()
    assert not apply(installed, relay()).failed


def test_implicit_tls_needs_no_restart(installed, provider):
    assert not apply(installed, relay(port=465, tls="implicit")).failed
    assert send(installed, "app@example.org", "x@elsewhere.test", token="implicit-0001").relay.endswith(":465")
    assert not apply(installed, relay()).failed


@pytest.mark.parametrize("password", STRANGE)
def test_password_is_carried_byte_for_byte(installed, provider, password):
    provider.add_user("strange@example.org", password, ["@example.org"])
    done = apply(installed, relay(username="strange@example.org", password=Secret(password)))
    assert not done.failed, done.output
    assert send(installed, "app@example.org", "x@elsewhere.test", token="strange-0001").delivery == "sent"
    assert password.strip() not in "".join(done.output.values())


def test_wrong_password_rolls_back_to_the_same_bytes(installed, provider):
    assert not apply(installed, relay()).failed
    before = state(installed)
    done = apply(installed, relay(password=Secret("wrong")))
    assert done.failed == "probe" and "sign-in" in done.output["probe"]
    assert state(installed) == before
    assert send(installed, "app@example.org", "x@elsewhere.test", token="rollback-0001").delivery == "sent"


def test_a_parameter_postfix_does_not_know_never_reaches_main_cf(installed, provider):
    before = state(installed)
    plan = look(installed, relay(port=2525))
    check = next(step for step in plan.steps if step.slug == "check")
    bogus = replace(check.files[0], content=check.files[0].content + b"bogus_setting = 1\n")
    steps = [replace(step, files=(bogus, check.files[1])) if step is check else step for step in plan.steps]
    done = carry_out(installed, Plan(steps=tuple(steps)))
    assert done.failed == "check" and "bogus_setting" in done.output["check"]
    assert state(installed) == before


def test_an_edit_between_look_and_write_is_not_overwritten(installed, provider):
    plan = look(installed, relay(port=2525))
    installed.run("cp /etc/postfix/main.cf /root/main.cf; echo '# mine' >> /etc/postfix/main.cf")
    before = state(installed)
    done = carry_out(installed, plan)
    assert done.failed == "configure" and "edited" in done.output["configure"]
    assert state(installed) == before
    installed.run("cp /root/main.cf /etc/postfix/main.cf")


def test_stale_name_servers_in_the_chroot_are_a_restart(installed, provider):
    installed.run("echo '# moved' >> /etc/resolv.conf")
    plan = look(installed, relay())
    assert [step.slug for step in plan.steps] == ["service", "probe", "tidy"] and plan.restarts
    assert not carry_out(installed, plan).failed
    assert look(installed, relay()).empty


def test_damaged_tables_and_lost_settings_are_put_right(installed, provider):
    installed.run("cd /etc/postfix/fleetpost/*; echo x >> sasl_passwd; chmod 644 generic")
    installed.run("sed -i '/^smtp_sasl_auth_enable/d' /etc/postfix/main.cf")
    done = apply(installed, relay())
    assert not done.failed, done.output
    assert look(installed, relay()).empty


def test_queue_survives_reinstall_and_keeps_postfix_from_being_removed(installed, provider):
    installed.reject(587, "out")
    assert send(installed, "app@example.org", "x@elsewhere.test", token="queued-0001").delivery == "deferred"
    plan = look(installed, None)
    assert plan.refusals[0].cause == "queued-mail" and plan.queued == 1 and not plan.steps
    installed.unblock()
    assert not apply(installed, relay(), force=True).failed
    installed.run("postqueue -f")
    assert provider.wait_for_messages(1)[0]["Message-ID"] == "<queued-0001@example.org>"


def test_uninstall_leaves_the_server_as_it_was(installed, pool, provider):
    """Compared with another fresh server of the same kind."""
    listing = "dpkg-query -W; cd /etc; find . -type f ! -name '*-' ! -name '*.bak' | sort"
    done = apply(installed, None)
    assert not done.failed, done.output
    with pool.lend(installed.distro) as untouched:
        assert installed.run(listing).stdout == untouched.run(listing).stdout
    assert not installed.exists("/var/lib/fleetpost/gateway") and not installed.failed_units()
    assert look(installed, None).empty
