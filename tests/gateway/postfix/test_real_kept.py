"""A Postfix that was there before us keeps its own settings, and gets its bytes back."""

import pytest

from gateway.postfix import maincf
from tests.gateway.postfix.conftest import CUSTOM
from tests.gateway.postfix.hands import apply, look, observe, relay, send, state

pytestmark = pytest.mark.fleet


def test_main_cf_comes_back_byte_for_byte(customised, provider):
    before = state(customised)
    done = apply(customised, relay())
    assert not done.failed, done.output
    assert look(customised, relay()).empty
    settings = observe(customised).settings
    assert settings["mydestination"] == "customer.test, old.customer.test" and settings["inet_interfaces"] == "all"
    assert send(customised, "app@example.org", "x@elsewhere.test", token="kept-0001").delivery == "sent"
    done = apply(customised, None)
    assert not done.failed, done.output
    assert state(customised) == before and observe(customised).running


@pytest.mark.parametrize("fault", ["expired", "closed", "nostarttls"])
def test_a_relay_that_cannot_be_used_rolls_back(customised, provider, bad_provider, fault):
    before = state(customised)
    done = apply(customised, relay(host=f"{fault}.provider.test"))
    assert done.failed == "probe", done.output
    assert state(customised) == before and observe(customised).running


def test_edits_made_meanwhile_survive_uninstall(customised, provider):
    assert not apply(customised, relay()).failed
    customised.run("echo 'message_size_limit = 777' >> /etc/postfix/main.cf")
    assert look(customised, relay()).empty
    assert not apply(customised, relay(port=2525)).failed
    edit = "echo 'header_size_limit = 9999' >> main.cf; sed -i 's/^smtp_tls_loglevel.*/smtp_tls_loglevel = 2/' main.cf"
    customised.run(f"cd /etc/postfix; {edit}")
    done = apply(customised, None)
    assert not done.failed, done.output
    text = customised.read_file("/etc/postfix/main.cf").decode()
    edits = {"message_size_limit": "777", "header_size_limit": "9999", "smtp_tls_loglevel": "2"}
    assert maincf.values(text) == maincf.values(CUSTOM) | edits
    assert "fleetpost" not in text.lower() and "# the end, without a line break" in text
    assert "smtp_tls_loglevel" in done.plan.notes[0]
    customised.write_file("/etc/postfix/main.cf", CUSTOM)
