"""The preset of an address, by its domain and its mail servers."""

import pytest

from gateway.providers import presets
from gateway.providers.guessing import guess


@pytest.mark.parametrize(
    "address, mx, slug",
    [
        ("me@gmail.com", [], "gmail"),
        ("Me@GoogleMail.COM.", [], "gmail"),
        ("me@hotmail.com", [], "outlook"),
        ("me@example.com", ["aspmx.l.google.com", "alt1.aspmx.l.google.com"], "gmail"),
        ("example.com", ["smtp.google.com."], "gmail"),
        ("me@example.com", ["example-com.mail.protection.outlook.com"], "m365"),
        ("me@example.com", ["example-com.a-v1.MX.MICROSOFT"], "m365"),
        ("me@example.com", ["mx.zoho.eu", "mx2.zoho.eu"], "zoho"),
        ("me@example.com", ["in1-smtp.messagingengine.com"], "fastmail"),
        ("me@mg.example.com", ["mxa.mailgun.org"], "mailgun-us"),
        ("me@mg.example.com", ["mxa.eu.mailgun.org"], "mailgun-eu"),
        ("me@example.com", ["mx.unknown.example", "aspmx.l.google.com"], "gmail"),
        ("me@example.com", ["mx.example.com"], None),
        ("me@example.com", ["notgoogle.com"], None),
        ("me@example.com", ["google.com.example.net"], None),
        ("me@example.com", [], None),
        ("", [""], None),
        ("smtp.sendgrid.net", [], "sendgrid"),
    ],
)
def test_a_guess_needs_a_known_domain_or_mail_server(address, mx, slug):
    assert guess(address, mx) == slug


def test_no_two_presets_claim_the_same_domain_or_mail_server():
    for claims in ("domains", "mx"):
        claimed = [name for preset in presets.all() for name in getattr(preset, claims)]
        assert len(claimed) == len(set(claimed))
        assert all(name == name.lower() and name.startswith(".") == (claims == "mx") for name in claimed)
