"""The email gateway as a service of the catalogue."""

from servers.catalog import Service

SERVICE = Service(
    slug="gateway",
    label="Email gateway",
    actions=(),
    panel="gateway/panel.html",
    context=lambda request, server: {},
    urls="gateway.urls",
    states=lambda servers: {},
)
