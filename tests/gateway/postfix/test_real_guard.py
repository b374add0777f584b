"""Mail is deferred, not lost, when the provider refuses the set-up rather than the recipient."""

import pytest

from servers.remote.plan import Plan
from servers.remote.secret import Secret
from tests.gateway.postfix.hands import apply, carry_out, look, observe, relay, send

pytestmark = pytest.mark.fleet


def use(server, wanted) -> None:
    """Installs a relay that the probe would turn down."""
    steps = tuple(step for step in look(server, wanted).steps if step.slug != "probe")
    assert not carry_out(server, Plan(steps=steps)).failed


def test_failed_first_install_leaves_nothing_running_and_can_be_repeated(server, provider, bad_provider):
    done = apply(server, relay(password=Secret("wrong")))
    assert done.failed == "probe"
    facts = observe(server)
    assert not facts.running and not facts.enabled and facts.main_cf is None and not facts.manifest
    assert not server.failed_units()
    assert not apply(server, relay()).failed
    for fault in ("badlogin", "authrequired", "unverified", "sendasdenied", "basicauthoff", "overquota"):
        use(server, relay(host=f"{fault}.provider.test", username="login", password=Secret("x")))
        delivery = send(server, "app@example.org", "x@elsewhere.test", token=f"guard-{fault}")
        assert delivery.delivery == "deferred", (fault, delivery)
    use(server, relay())
    assert send(server, "app@example.org", "unknown@elsewhere.test", token="guard-unknown").delivery == "bounced"
    assert send(server, "app@example.org", "x@elsewhere.test", token="guard-good").delivery == "sent"
    provider.forget_messages()
    server.run("postqueue -f")
    assert len(provider.wait_for_messages(6)) == 6
    done = apply(server, None)
    assert not done.failed and not observe(server).packages.get("postfix")
