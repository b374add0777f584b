"""The email gateway as a service of the catalogue."""

from controlpanel.access.gate import Permission
from gateway import gateways, panel
from servers.catalog import Action, Service


def _late(module: str, name: str):
    from importlib import import_module

    return lambda run: getattr(import_module(module), name)(run)


def _action(slug: str, label: str, done: str, run, **kinds) -> Action:
    return Action(slug=slug, label=label, done=done, permission=Permission.RUN, run=run, **kinds)


SERVICE = Service(
    slug="gateway",
    label="Email gateway",
    actions=(
        _action("install", "Install email gateway", "installed", _late("gateway.actions", "install")),
        _action("reinstall", "Reinstall email gateway", "reinstalled", _late("gateway.actions", "install")),
        _action(
            "uninstall", "Uninstall email gateway", "uninstalled", _late("gateway.actions", "uninstall"), danger=True
        ),
        _action("preview", "Preview changes", "previewed", _late("gateway.actions", "preview"), mutating=False),
        _action("check", "Check email gateway", "checked", _late("gateway.actions", "check"), mutating=False),
        _action("test", "Send test email", "sent a test email", _late("gateway.sending", "test"), mutating=False),
    ),
    panel="gateway/panel.html",
    context=panel.context,
    urls="gateway.urls",
    states=gateways.states,
)
