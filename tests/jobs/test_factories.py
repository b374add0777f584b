"""Other people's tests stand on these rows."""

import pytest

from tests import factories


@pytest.mark.django_db
@pytest.mark.parametrize("name", [name for name in factories.__all__ if name.endswith("Factory")])
def test_every_factory_makes_a_row_that_can_be_read_back(name):
    row = getattr(factories, name)()
    assert type(row).objects.get(pk=row.pk) == row


@pytest.mark.django_db
def test_a_sealed_password_survives_the_database():
    smarthost = factories.SmarthostFactory()
    again = type(smarthost).objects.get(pk=smarthost.pk)
    assert again.password == smarthost.password
    assert again.password.reveal().startswith(b"canary-smtp-password")


@pytest.mark.django_db
def test_a_customer_sees_only_servers_assigned_to_them():
    mine, _other = factories.ServerFactory(), factories.ServerFactory()
    customer = factories.CustomerFactory(servers=[mine])
    assert list(type(mine).objects.visible_to(customer)) == [mine]
