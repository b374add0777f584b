"""What the probe of an installation makes of the log, read by the script that runs on the server."""

import subprocess

import pytest

from gateway.postfix import paths, running
from gateway.postfix.spec import Relay

PACED = (("smtp_destination_rate_delay", "1s"),)
ENOUGH = "Nov 21 10:00:00 web-1 postfix/cleanup[1]: nothing of ours\n" * 2001  # after 2000 lines the reader stops
LINE = "Nov 21 10:00:00 web-1 postfix/smtp[7]: "
PROBE = f"{LINE}4F: to=<a@example.org>, relay=mx[192.0.2.1]:587, status=deliverable (250 ok)\n"


def other(status: str, port: int = 587) -> str:
    where = f"mx[192.0.2.1]:{port}" if status == "sent" else "none"
    return f"{LINE}5A: to=<b@example.org>, relay={where}, delay=9, status={status} (x)\n"


@pytest.fixture
def probed(tmp_path, monkeypatch):
    """Runs the probe's script here, where there need be no Postfix: it is only to read this log."""
    monkeypatch.setattr(paths, "UNDO", str(tmp_path))
    (tmp_path / "mark").write_text("0\n")

    def run(lines: str, limits=PACED) -> tuple[int, str]:
        (tmp_path / "mail.log").write_text(lines + ENOUGH)
        step = running.probe(Relay("mx.example.org", 587, limits=limits), str(tmp_path / "mail.log"))
        done = subprocess.run(["sh", "-c", f"set -eu\n{step.do}"], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout.splitlines()[-1]

    return run


def test_mail_that_goes_out_one_by_one_before_the_probe_proves_the_way(probed):
    assert probed(other("sent")) == (0, "Waiting mail goes first, one by one, and was taken by the provider.")


@pytest.mark.parametrize(
    "lines", ["", other("deferred"), other("sent") + other("deferred"), other("sent", port=25)], ids=range(4)
)
def test_mail_that_did_not_get_out_proves_nothing(probed, lines):
    assert probed(lines) == (1, "Postfix gave no result in time.")


def test_without_a_pause_nothing_stands_before_the_probe(probed):
    assert probed(other("sent"), limits=()) == (1, "Postfix gave no result in time.")


def test_the_probes_own_word_counts_whatever_became_of_other_mail(probed):
    assert probed(other("deferred") + PROBE) == (0, "The provider would accept mail from here.")
