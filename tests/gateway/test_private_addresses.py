"""Where a customer may type a host, nothing inside is contacted: by no spelling, no name and no second look-up."""

import pytest
from django.core.exceptions import ValidationError

from gateway import proving, smarthosts
from gateway.models import Smarthost
from gateway.values import Values
from servers.jobs.models import Status
from servers.remote.secret import Secret
from tests.factories import OwnSmarthostFactory, ServerFactory, SmarthostFactory
from tests.gateway.test_main_job import enrol, run, values, want

pytestmark = pytest.mark.django_db(transaction=True)

INSIDE = [
    *("127.0.0.1", "10.0.0.25", "169.254.169.254", "100.100.100.200", "0.0.0.0", "::1", "fd00:ec2::254", "fe80::1"),
    *("::ffff:10.0.0.25", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.25", "2002:a00:19::1"),
    *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "localhost.", "mail.localhost", "mail.internal"),
]


@pytest.mark.parametrize("host", INSIDE)
def test_a_customer_cannot_type_a_host_inside(host, customer):
    server = ServerFactory()
    server.people.add(customer)
    typed = Values(host=host, username="a@example.org", sending_domain="example.org", password=Secret("password"))
    with pytest.raises(ValidationError) as refused:
        smarthosts.own(server, typed, by=customer)
    assert "host" in refused.value.message_dict


@pytest.mark.parametrize("address", [address for address in INSIDE if address[0].isdigit() or ":" in address])
def test_an_address_a_name_resolves_to_is_judged_in_every_spelling(address):
    """What a resolver gives is plain; what is not plain is no address and not public either."""
    assert proving.private(address)


def test_values_of_a_customers_server_are_judged_whoever_asks(customer, operator):
    """An administrator who installs on all servers must not open for a customer what the customer typed."""
    server = ServerFactory()
    own, shared = OwnSmarthostFactory(server=server), SmarthostFactory()
    assert proving.trusted(own, server) and proving.trusted(shared, server)
    server.people.add(operator)
    assert proving.trusted(own, server)
    server.people.add(customer)
    assert proving.trusted(shared, server) and not proving.trusted(own, server)
    own.confidential = True  # made from a shared account, which no customer may read or alter
    assert proving.trusted(own, server)


@pytest.mark.fleet
@pytest.mark.parametrize("asker", ["customer", "administrator"])
def test_a_name_that_leads_inside_is_not_followed(server, provider, bad_provider, asker, customer, administrator):
    """The fleet's own network is private: to a customer's values every provider of it is out of reach."""
    row = enrol(server)
    row.people.add(customer)
    want(row, values(provider, host=bad_provider.host("badlogin")), customer)
    bad_provider.forget()
    smarthost = Smarthost.objects.get(server=row)
    by = customer if asker == "customer" else administrator
    for told in (run("diagnose", row, by, smarthost=str(smarthost.pk)), run("install", row, by)):
        assert (told.status, told.cause, told.changed) == (Status.FAILED, "address-refused", False), told.outcome
        assert "private" in told.outcome and told.hint, (told.outcome, told.hint)
    assert bad_provider.seen("badlogin") == []
