"""An alert to a chat service, through apprise. The library is loaded when the first one is told, so web processes that
never send stay without it."""

import re
from contextlib import nullcontext
from urllib.parse import urlsplit

from servers.alerts import addresses
from servers.alerts.message import Message
from servers.alerts.models import Route
from servers.alerts.ways import NotSent
from servers.fields import Unreadable
from servers.remote import clean
from servers.remote.secret import MASK

TIMEOUT = 30
# Services in the cloud, whose hosts are the library's, and those people run themselves, whose host is judged.
CLOUD = {
    "slack": "Slack",
    "discord": "Discord",
    "tgram": "Telegram",
    "gchat": "Google Chat",
    "zulip": "Zulip",
    "pover": "Pushover",
    "pagerduty": "PagerDuty",
    "opsgenie": "Opsgenie",
    "wxteams": "Webex",
    "ntfy": "ntfy.sh",
}
OWN = {
    "workflows": "Microsoft Teams",
    "mmosts": "Mattermost",
    "rockets": "Rocket.Chat",
    "matrixs": "Matrix",
    "gotifys": "Gotify",
    "ntfys": "your own ntfy",
}
_NAMED = ", ".join(f"{scheme}:// for {name}" for scheme, name in (CLOUD | OWN).items())


class Unusable(ValueError):
    """This is not the address of a chat service the panel knows."""

    hint = (
        "The service and its tokens, as the library apprise writes them: slack://TokenA/TokenB/TokenC or "
        f"tgram://bot-token/chat-id. It begins with {_NAMED}."
    )


def check(target: str) -> None:
    """Raises Unusable when `target` cannot be an address of one of the services."""
    scheme = urlsplit(target).scheme.lower()
    if scheme not in (*CLOUD, *OWN) or "," in target or any(c.isspace() for c in target):
        raise Unusable(Unusable.__doc__)
    if re.search(r"[?&](verify|redirect|rto|cto)=", target, re.IGNORECASE):
        raise Unusable("The address must not switch checks off (verify, redirect) or change time limits.")
    if scheme == "ntfy" and urlsplit(target).path.strip("/"):
        raise Unusable("ntfy:// with a host sends in the clear. Use ntfys://host/topic.")
    if _instance(target) is None:
        raise Unusable("The address is incomplete: the service needs more parts, or other ones.")


def _instance(target: str):
    import apprise

    asset = apprise.AppriseAsset(http_redirects=False, async_mode=False)
    return apprise.Apprise.instantiate(target, asset=asset, suppress_exceptions=True)


def send(route: Route, message: Message) -> str:
    import apprise

    from servers.alerts.ways import pinned

    held = nullcontext()
    try:
        target = route.target.reveal().decode() if route.target is not None else ""
        check(target)
        if (url := urlsplit(target)).scheme.lower() in OWN:
            host = url.hostname or ""
            held = pinned.to(host, addresses.resolve(host, url.port or 443, local=route.allow_local))
    except (Unreadable, Unusable, addresses.Refused) as error:
        raise NotSent(f"{error} {error.hint}", final=True) from error
    except OSError as error:
        raise NotSent(clean.line(str(error))) from error
    instance = _instance(target)
    post = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False, async_mode=False))
    post.add(instance)
    kind = {"closed": apprise.NotifyType.SUCCESS, "test": apprise.NotifyType.INFO}
    kind = kind.get(message.event, apprise.NotifyType.FAILURE if message.serious else apprise.NotifyType.WARNING)
    words = {"body": message.body, "title": message.subject, "body_format": "text"}
    with held:
        result = post.notify(**words, notify_type=kind, timeout=TIMEOUT, log_level=30)
    told = "; ".join(dict.fromkeys(str(entry.message) for entry in result.logs()))
    if not result:
        raise NotSent(_without(target, clean.line(told))[:500] or "The service did not take it.")
    return f"{instance.service_name} took it."


def _without(target: str, text: str) -> str:
    """The library's words may quote the address, and with it a token."""
    for part in sorted(re.split(r"[/:@?&=#]+", target), key=len, reverse=True):
        if len(part) >= 6:
            text = text.replace(part, MASK)
    return text
