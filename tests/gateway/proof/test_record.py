"""The record of a conversation held on the server is judged by the same code, and what is missing is not guessed."""

import pytest

from gateway.proof import prove
from gateway.proof.record import RecordedWire
from gateway.proof.wire import Closed, TlsFault, WireFault
from servers.remote.errors import Deadline
from servers.remote.host import Output
from tests.gateway.proof.localhost import LocalHost, Relay

HELLO = b"T 10.0\nP\nT 10.5\nS 220 hi\r\nC EHLO x\nS 250-hi\r\nS 250 STARTTLS\r\n"
TLS = b"C STARTTLS\nS 220 go\r\nN\n"
GOOD = b"E CONNECTION ESTABLISHED\nE Protocol version: TLSv1.3\nE Ciphersuite: AES\nE Verification: OK\n"


def wire(stdout):
    return RecordedWire(stdout, lambda line: None, 15)


def test_a_reply_is_read_back_with_its_time():
    found = wire(HELLO)
    assert found.connected() == ""
    assert found.reply().code == 220 and found.clock() == 10.5
    found.send(b"EHLO x", "EHLO x")
    assert found.reply().lines == ("250-hi", "250 STARTTLS")


@pytest.mark.parametrize(
    "stdout, words",
    [
        (
            b"T 1\nE bash: connect: Connection refused\nE bash: line 1: /dev/tcp/h/1: Connection refused\nX refused\n",
            "Co",
        ),
        (
            b"E bash: line 1: nohost: Name or service not known\nE bash: /dev/tcp/nohost/1: Invalid argument\n",
            "Name or",
        ),
        (b"X no connection within 10 s\n", "no connection within 10 s"),
        (b"", "no connection"),
    ],
)
def test_why_a_port_did_not_answer(stdout, words):
    assert wire(stdout).connected().startswith(words)


@pytest.mark.parametrize(
    "stdout, fault, words",
    [
        (b"P\nX timeout\n", WireFault, "no greeting within 15 s"),
        (b"P\nX closed\n", Closed, "closed"),
        (b"P\nS 220-" + b"x" * 9000 + b"\n", WireFault, "not SMTP"),
        (b"P\nS hello\n", WireFault, "not SMTP"),
        (b"P\nC EHLO x\n", WireFault, "another way"),
        (b"P\n", WireFault, "no answer"),
    ],
)
def test_why_a_conversation_stopped(stdout, fault, words):
    found = wire(stdout)
    found.connected()
    with pytest.raises(fault, match=words):
        found.reply()


def test_encryption_is_believed_only_when_openssl_says_so():
    found = wire(TLS + GOOD)
    assert found.start_tls() == "TLSv1.3, AES, certificate valid"
    forged = (
        TLS + b"S CONNECTION ESTABLISHED\nS E CONNECTION ESTABLISHED\nE verify error:num=10:certificate has expired\n"
    )
    with pytest.raises(TlsFault, match="expired"):
        wire(forged).start_tls()


def test_a_check_that_ran_out_of_time_is_judged_as_far_as_it_came():
    class Late(LocalHost):
        def run(self, script, **options):
            if len(self.scripts) == 0:
                return super().run(script, **options)
            raise Deadline(output=Output(b"P\nS 220 hi\n", b"", -1, 100.0))

    proof = prove(Late(forbidden=True), Relay(port=25, tls="none"), sender="root@example.com")
    assert [(stage.name, stage.state) for stage in proof.stages][-2:] == [("tcp", "ok"), ("greeting", "fail")]
    assert proof.blocker.explanation.slug == "conversation-timed-out"
