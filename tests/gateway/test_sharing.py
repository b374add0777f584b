"""Servers that share an account: who counts, and that a server that joins makes no other one drift."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from gateway import checking, gateways, rotation, rules, sending, sharing, wanted
from gateway.models import Gateway, Smarthost
from gateway.postfix.plan import plan
from gateway.postfix.spec import Wanted
from servers.jobs import runner
from servers.jobs.launch import launch
from servers.models import Server
from servers.remote.host import Output
from tests.factories import GatewayFactory, OwnSmarthostFactory, ServerFactory, SmarthostFactory
from tests.gateway.postfix.test_golden import after, facts
from tests.gateway.test_gateways import Wire, done
from tests.gateway.test_rotation import SEEN

pytestmark = pytest.mark.django_db
CLEAN = facts(json.loads((Path(__file__).parent / "postfix/golden/plans/clean-debian12.json").read_text())["facts"])
BOX = {"preset": "m365", "host": "smtp.office365.com", "username": "box@example.com"}


@pytest.fixture
def account():
    return SmarthostFactory(**BOX)


def users(account) -> int:
    return wanted.users(account, rules.preset_of(account.preset))


def joined(account, count: int) -> None:
    for _ in range(count):
        GatewayFactory(wanted=account)


def there(gateway: Gateway, share: int):
    """The server as an install with this share leaves it."""
    asked, key = Wanted(wanted.relay(gateway.applied, share)), wanted.digest_key(gateway.server)
    return after(CLEAN, plan(CLEAN, asked, key))


def judged(gateway: Gateway, found) -> tuple[str, int]:
    answer = checking.judge(Gateway.objects.of(gateway.server), found, mask=lambda secret: None)
    return answer.word, answer.share


# ── who counts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_those_that_send_and_those_that_soon_will_are_counted_once(account):
    GatewayFactory(wanted=account, working=True)
    GatewayFactory(wanted=account)
    GatewayFactory(wanted=SmarthostFactory(), applied=account)  # moves away, and still sends
    assert (users(account), wanted.share(account)) == (3, 4)


def test_an_archived_server_goes_on_sending_through_what_is_installed_there(account):
    for working in (True, False):
        GatewayFactory(wanted=account, working=working, server=ServerFactory(archived_at=timezone.now()))
    assert users(account) == 1


def test_the_account_is_the_sign_in_whichever_row_holds_it(account):
    for username, preset, host in [
        ("BOX@example.com", "m365", BOX["host"]),
        ("other@example.com", "m365", BOX["host"]),
        ("box@example.com", "m365", "elsewhere.example"),
    ]:
        own = OwnSmarthostFactory(preset=preset, host=host, username=username)
        GatewayFactory(server=own.server, wanted=own, working=True)
    assert users(account) == 1


@pytest.mark.parametrize("preset, username", [("sendgrid", "apikey"), ("postmark", "")])
def test_a_user_name_that_everybody_has_names_no_account(preset, username):
    rows = [SmarthostFactory(preset=preset, username=username) for _ in range(2)]
    for row in rows:
        GatewayFactory(wanted=row, working=True)
    assert [users(row) for row in rows] == [1, 1]


def test_servers_that_would_join_are_counted_once(account):
    joined(account, 2)
    joining = Server.objects.filter(pk__in=[ServerFactory().pk, Gateway.objects.first().server_id])
    assert wanted.fair(account, joining=joining).divisor == 4
    assert wanted.fair(account, joining=Server.objects.filter(gateway__wanted=account)).divisor == 2


def test_what_postfix_cannot_keep_is_divided_among_nobody():
    row = SmarthostFactory()
    joined(row, 3)
    assert wanted.share(row) == 0 and wanted.relay(row, wanted.share(row)).limits == ()


# ── what a look makes of it ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_joins_makes_no_other_one_drift(account):
    gateway = GatewayFactory(wanted=account, working=True, applied_share=1)
    found = there(gateway, 1)
    joined(account, 7)
    assert wanted.share(account) == 8
    assert judged(gateway, found) == ("installed", 1)
    assert sharing.division(account).fast == 1


def test_a_gateway_from_before_limits_were_written_is_as_it_was_installed(account):
    gateway = GatewayFactory(wanted=account, working=True)
    assert judged(gateway, there(gateway, 0)) == ("installed", 0)
    assert sharing.division(account).sentences[0].startswith("1 server keeps no limits yet")


def test_a_share_whose_writing_nobody_saw_is_found_by_the_next_look(account):
    gateway = GatewayFactory(wanted=account, working=True, applied_share=1, in_doubt=True)
    joined(account, 7)
    found = there(gateway, 8)
    assert judged(gateway, found) == ("installed", 8)
    checking.record(
        gateway.server,
        checking.judge(Gateway.objects.of(gateway.server), found, mask=lambda secret: None),
        found,
        masked=str,
    )
    gateway.refresh_from_db()
    assert (gateway.applied_share, gateway.state) == (8, "working")


def test_a_pace_loosened_by_hand_is_drift(account):
    gateway = GatewayFactory(wanted=account, working=True, applied_share=4)
    found = there(gateway, 4)
    faster = found.main_cf.replace(b"rate_delay = 8s", b"rate_delay = 1s")
    assert faster != found.main_cf
    assert judged(gateway, replace(found, main_cf=faster)) == ("drifted", 4)


def test_an_uninstalled_gateway_keeps_no_share(account):
    gateway = GatewayFactory(wanted=account, working=True, applied_share=4)
    gateways.removed(gateway.server, SEEN, forget=False)
    gateway.refresh_from_db()
    assert (gateway.applied_share, wanted.allowance(gateway).each) == (0, "")


def test_a_count_that_changes_no_parameter_makes_nothing_uneven(account):
    GatewayFactory(wanted=account, working=True, applied_share=32)
    joined(account, 70)
    assert wanted.share(account) == 32 and sharing.division(account).uneven == 0  # no pause beyond a minute


# ── dividing anew ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_roll_out_reaches_exactly_those_on_another_share(account):
    early, late = (GatewayFactory(wanted=account, working=True, applied_share=share) for share in (1, 2))
    GatewayFactory(wanted=SmarthostFactory(**BOX | {"username": "else@example.com"}), working=True, applied_share=1)
    assert [server.pk for server in rotation.targets(account)] == [early.server.pk]
    gateways.proved(early.server, account, account.revision, SEEN, share=2)
    assert not rotation.targets(account).exists() and sharing.division(account).uneven == 0
    assert late.applied_share == wanted.share(account) == 2


def test_limits_that_are_known_no_more_leave_servers_slow(account):
    GatewayFactory(wanted=account, working=True, applied_share=4)
    Smarthost.objects.filter(pk=account.pk).update(preset="generic")
    found = sharing.division(Smarthost.objects.get(pk=account.pk))
    assert (found.fast, found.slow) == (0, 1) and "none are known any more" in found.sentences[0]


def test_a_server_that_leaves_makes_the_others_slower_than_they_must_be_and_never_faster(account):
    stays, leaves = (GatewayFactory(wanted=account, working=True, applied_share=2) for _ in range(2))
    Gateway.objects.filter(pk=leaves.pk).update(wanted=None, applied=None)
    found = sharing.division(account)
    assert (found.fast, found.slow) == (0, 1)
    assert wanted.allowance(stays).delay > found.share.delay


# ── what people read ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_services_tab_says_the_pace_and_the_number_of_servers_to_whom_may_know(account, client, administrator):
    gateway = GatewayFactory(wanted=account, working=True, applied_share=4)
    client.force_login(administrator)
    page = client.get(reverse("servers:services", args=[gateway.server.pk])).content.decode()
    assert "This server may hand over one message every 8 seconds: other servers use the account too." in page


def test_a_customer_reads_the_pace_and_nothing_about_other_servers(account, customer_client):
    gateway = GatewayFactory(wanted=account, working=True, applied_share=4)
    gateway.server.people.add(customer_client.user)
    page = customer_client.get(reverse("servers:services", args=[gateway.server.pk])).content.decode()
    assert "This server may hand over one message every 8 seconds." in page and "other servers" not in page


@pytest.mark.parametrize("others, delay", [(0, 2), (3, 8), (4, 16)])
def test_a_preview_for_one_more_server_says_and_shows_the_pace_it_would_keep(account, others, delay):
    joined(account, others)
    job = done("preview", ServerFactory(), smarthost=str(account.pk))
    shown = job.result["preview"]
    assert f"The account's limits: this server may hand over one message every {delay} seconds." in shown["notes"]
    assert f"+smtp_destination_rate_delay = {delay}s" in str(shown["diffs"])


def test_a_preview_of_three_servers_divides_among_all_of_them(account):
    batch = launch(
        "gateway.preview", [ServerFactory() for _ in range(3)], by=None, options={"smarthost": account.pk.hex}
    )
    job = runner.run_here(batch.jobs.first(), Wire)
    assert "The account's limits: this server may hand over one message every 8 seconds." in str(job.result)


def test_a_test_email_waits_its_turn_and_says_so(account):
    gateway, waited = GatewayFactory(wanted=account, working=True, applied_share=4), []

    class Queued(Wire):
        def run(self, script, *, limits, **how):
            waited.append(limits.total)
            return Output(b"::id 4F0001\n", b"", 0, 1.0)

    job = done("test", gateway.server, Queued, recipient="a@example.net")
    assert waited == [sending.WAIT + 8 + 30]
    assert job.outcome.startswith(
        "The email is still waiting in the server's queue. This server may hand over one message every 8 seconds, and "
        "what waited before goes first."
    )


def test_a_division_costs_the_same_for_few_and_many_servers(account):
    costs = []
    for _ in range(2):
        joined(account, 5)
        with CaptureQueriesContext(connection) as asked:
            sharing.division(account)
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 4
