"""One factory per table. `ServerFactory()` is a row; `ServerFactory.build()` touches no database."""

from tests.factories.gateway import GatewayFactory, OwnSmarthostFactory, SmarthostFactory
from tests.factories.jobs import BatchFactory, JobFactory, JobLineFactory, JobStepFactory
from tests.factories.people import (
    PASSWORD,
    AdministratorFactory,
    CustomerFactory,
    OperatorFactory,
    UserFactory,
    ViewerFactory,
)
from tests.factories.servers import HostKeyFactory, ServerFactory, SshKeyFactory, TagFactory

__all__ = [
    "PASSWORD",
    "AdministratorFactory",
    "BatchFactory",
    "CustomerFactory",
    "GatewayFactory",
    "HostKeyFactory",
    "JobFactory",
    "JobLineFactory",
    "JobStepFactory",
    "OperatorFactory",
    "OwnSmarthostFactory",
    "ServerFactory",
    "SmarthostFactory",
    "SshKeyFactory",
    "TagFactory",
    "UserFactory",
    "ViewerFactory",
]
