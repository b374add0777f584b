"""No test asks public blocklists, not even of a name server of its own, unless it is about them."""

import pytest


@pytest.fixture(autouse=True)
def no_blocklists(settings):
    settings.BLOCKLISTS = False
