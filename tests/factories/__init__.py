"""One factory per table. `ServerFactory()` is a row; `ServerFactory.build()` touches no database."""

from tests.factories.alerts import AlertFactory, RouteFactory, TroubleFactory
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
    "AlertFactory",
    "BatchFactory",
    "CustomerFactory",
    "GatewayFactory",
    "HostKeyFactory",
    "JobFactory",
    "JobLineFactory",
    "JobStepFactory",
    "OperatorFactory",
    "OwnSmarthostFactory",
    "RouteFactory",
    "ServerFactory",
    "SmarthostFactory",
    "SshKeyFactory",
    "TagFactory",
    "TroubleFactory",
    "UserFactory",
    "ViewerFactory",
]
