"""For worker processes of the tests: the panel's settings, the second service, and short patience."""

import os

from controlpanel.settings import *  # noqa: F403
from controlpanel.settings import DATABASES, INSTALLED_APPS

DATABASES["default"]["NAME"] = os.environ["FLEETPOST_TOY_DATABASE"]

INSTALLED_APPS = [*INSTALLED_APPS, "tests.toyservice"]
JOB_WIRE = "tests.toyservice.machine.dial"
JOB_LEASE_SECONDS = 4
JOB_HEARTBEAT_SECONDS = 1
