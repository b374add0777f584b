"""Two at once, each on a connection of its own."""

import threading

import pytest
from django.db import connection

from controlpanel.access import links, people
from controlpanel.access.models import Role, User
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls) -> list:
    """What each call returned or raised, all started behind one barrier."""
    barrier, ended = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number, call):
        try:
            barrier.wait(5)
            ended[number] = call()
        except Exception as error:
            ended[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return ended


def test_two_administrators_who_demote_each_other_leave_one():
    one, other = factories.AdministratorFactory.create_batch(2)
    ended = at_once(
        lambda: people.change(other, name="", role=Role.VIEWER, by=one),
        lambda: people.deactivate(one, by=other),
    )
    assert sum(isinstance(end, people.LastAdministrator) for end in ended) == 1, ended
    assert User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).count() == 1


def test_a_link_opened_twice_at_once_lets_in_one():
    token = links.make(factories.OperatorFactory())
    ended = at_once(*[lambda: links.redeem(token)] * 4)
    assert sum(isinstance(end, User) for end in ended) == 1, ended
    assert sum(isinstance(end, links.LinkSpent) for end in ended) == 3, ended
