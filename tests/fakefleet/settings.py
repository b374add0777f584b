"""For worker processes of the chaos tests: the toy service over real SSH. A loaded machine must not look like a lost
worker, so the lease is longer than the other tests'."""

from tests.toyservice.settings import *  # noqa: F403

JOB_WIRE = "servers.remote.ssh.connect"
JOB_LEASE_SECONDS = 10
