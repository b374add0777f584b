"""The email gateway as a service of the catalogue."""

from controlpanel.access.gate import Permission
from gateway import actions, checking, comparing, diagnosing, discretion, gateways, mending, narrowing, panel, sending
from servers.catalog import Action, Bulk, Service


def _action(slug: str, label: str, done: str, run, **kinds) -> Action:
    return Action(slug=slug, label=label, done=done, permission=Permission.RUN, run=run, **kinds)


TEST_COLUMNS = (("Accepted", "delivery"), ("Reply", "reply"), ("Seconds", "seconds"))
PORTS = tuple((f"Port {port}", f"port_{port}") for port in (25, 465, 587, 2525, 2587))
DIAGNOSIS_COLUMNS = (("Cloud", "cloud"), *PORTS, ("Other ports", "other_ports"), ("Use instead", "instead"))


def _bulk(slug: str, label: str, form: str, permission: Permission = Permission.RUN, **kinds) -> Bulk:
    return Bulk(slug=slug, label=label, form=f"gateway.bulk.{form}", permission=permission, **kinds)


SERVICE = Service(
    slug="gateway",
    label="Email gateway",
    actions=(
        _action("install", "Install email gateway", "installed", actions.install),
        _action("reinstall", "Reinstall email gateway", "reinstalled", actions.install),
        _action("uninstall", "Uninstall email gateway", "uninstalled", actions.uninstall, danger=True),
        _action("preview", "Preview changes", "previewed", actions.preview, mutating=False),
        _action("check", "Check email gateway", "checked", checking.check, mutating=False),
        _action("test", "Send test email", "sent a test email", sending.test, mutating=False, columns=TEST_COLUMNS),
        _action(
            "diagnose",
            "Diagnose email gateway",
            "diagnosed",
            diagnosing.diagnose,
            mutating=False,
            columns=DIAGNOSIS_COLUMNS,
            together=comparing.TOGETHER,
        ),
    ),
    panel="gateway/panel.html",
    context=panel.context,
    urls="gateway.urls",
    states=gateways.states,
    in_state=gateways.in_state,
    finer=(*gateways.FINER.values(), gateways.MAIL_WAITS, gateways.UNSEEN),
    bulk=(
        _bulk("install", "Install email gateway", "InstallForm", front=True),
        _bulk("reinstall", "Reinstall and update credentials", "ReinstallForm"),
        _bulk("test", "Send test email", "BulkTestForm", front=True, at="from"),
        _bulk("check", "Check email gateway", "CheckForm", front=True),
        _bulk("diagnose", "Diagnose email gateway", "DiagnoseForm"),
        Bulk("use-port", "Use another port", "gateway.port_bulk.UsePortForm", Permission.RUN),
        _bulk("preview", "Preview changes", "PreviewForm"),
        _bulk("load-defaults", "Load default values", "LoadDefaultsForm", Permission.SETTINGS, at="for"),
        _bulk("uninstall", "Uninstall email gateway", "UninstallForm", danger=True, at="from"),
    ),
    filters=narrowing.filters,
    private=discretion.private,
    mends=mending.mends,
)
