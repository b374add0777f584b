"""The pace an account allows, on a real server and seen from the provider: kept, divided anew, and gone again."""

from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest

from gateway import gateways, rotation
from gateway.models import Gateway
from gateway.postfix import maincf, paths
from servers.models import Server
from servers.remote.secret import Secret
from tests.factories import GatewayFactory, SmarthostFactory
from tests.gateway.postfix.conftest import CUSTOM
from tests.gateway.test_main_job import CANARY, LOGIN, enrol, run, told
from tests.gateway.test_main_job import account as account  # the fixture

pytestmark = [pytest.mark.fleet, pytest.mark.django_db(transaction=True)]
MINE = f"{CUSTOM}\nsmtp_destination_rate_delay = 1s\n"


@pytest.fixture
def kept(each_server):
    """A Postfix somebody set up by hand before."""
    each_server.run("echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections")
    each_server.install("postfix")
    each_server.write_file(paths.MAIN_CF, MINE)
    each_server.write_file("/etc/postfix/generic", "")
    each_server.run("newaliases 2>/dev/null; systemctl restart postfix")
    return each_server


def pace(server) -> str:
    return maincf.values(server.read_file(paths.MAIN_CF).decode())["smtp_destination_rate_delay"]


def arrivals(kept, account) -> list[float]:
    """The provider's own time stamps of two mails that this server sends at once."""
    account.forget_messages()
    for number in (1, 2):
        letter = f"Subject: {number}\nFrom: {LOGIN}\n\nhello\n"
        kept.run(["sendmail", "-i", "-f", LOGIN, f"to{number}@example.net"], input=letter)
    return sorted(map(arrival, account.wait_for_messages(2, seconds=60)))


def arrival(mail: EmailMessage) -> float:
    return parsedate_to_datetime(mail.get_all("Received")[0].rpartition(";")[2].strip()).timestamp()


def test_the_pace_of_an_account_holds_is_divided_anew_and_goes_with_the_gateway(kept, account, administrator):
    server = enrol(kept)
    shared = SmarthostFactory(preset="m365", host=account.host, username=LOGIN, password=Secret(CANARY))
    gateways.want({server: shared}, by=administrator)
    installed = run("install", server, administrator)
    assert installed.status == "succeeded", told(installed)
    assert (pace(kept), Gateway.objects.get(server=server).applied_share) == ("2s", 1)
    first, second = arrivals(kept, account)
    assert second - first >= 2

    joined = GatewayFactory(wanted=shared)
    looked = run("check", server, administrator)
    assert looked.status == "succeeded" and pace(kept) == "2s", told(looked)
    again = run("reinstall", server, administrator)
    assert (again.status, again.changed) == ("succeeded", True), told(again)
    assert (pace(kept), Gateway.objects.get(server=server).applied_share) == ("4s", 2)
    first, second = arrivals(kept, account)
    assert second - first >= 4
    assert list(rotation.targets(shared)) == [] and joined.server in Server.objects.all()

    gone = run("uninstall", server, administrator)
    assert gone.status == "succeeded", told(gone)
    assert kept.read_file(paths.MAIN_CF).decode() == MINE
    assert Gateway.objects.get(server=server).applied_share == 0
