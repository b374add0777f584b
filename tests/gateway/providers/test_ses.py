"""Amazon SES: the derived SMTP password, against the published vectors of terraform-provider-aws."""

import pytest

from gateway.providers import ses
from servers.remote.secret import Secret


@pytest.mark.parametrize(
    "region, secret, password",
    [
        ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("eu-central-1", "another+secret+key", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
        ("us-west-1", "some+secret+key", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
        ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_the_password_follows_from_secret_and_region(region, secret, password):
    derived = ses.smtp_password(Secret(secret), region)
    assert derived == Secret(password)
    assert ses.is_smtp_password(derived) and not ses.is_iam_secret(derived)


def test_the_iam_secret_is_told_from_the_smtp_password():
    secret = Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    assert ses.is_iam_secret(secret) and not ses.is_smtp_password(secret)
    for neither in ("", "short", "x" * 44, "ü" * 20):
        assert not ses.is_iam_secret(neither) and not ses.is_smtp_password(neither)
