"""What a proof waits for: no answer it does not need, where the other side allows that."""

import pytest

from gateway.proof import prove
from tests.gateway.proof.localhost import Bad, LocalHost, Relay

SENDER, RECIPIENT = "root@example.com", "ops@example.com"


def takes_ahead(sender: bytes, recipient: bytes):
    """A server that answers the envelope only when it has read all of it."""

    def act(connection):
        connection.sendall(b"220 hi\r\n")
        connection.recv(1000)
        connection.sendall(b"250-localhost\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n")
        connection.recv(1000)
        connection.sendall(b"235 2.7.0 in\r\n")
        read = b""
        while b"QUIT\r\n" not in read:
            read += connection.recv(1000)
        connection.sendall(sender + recipient + b"221 bye\r\n")

    return act


def proved(act):
    with Bad(act) as server:
        relay = Relay(port=server.port, tls="none")
        return prove(LocalHost(), relay, sender=SENDER, recipient=RECIPIENT)


def test_sender_recipient_and_goodbye_go_out_together():
    proof = proved(takes_ahead(b"250 2.1.0 Ok\r\n", b"250 2.1.5 Ok\r\n"))
    assert [(stage.name, stage.state) for stage in proof.stages][-2:] == [("mail_from", "ok"), ("rcpt_to", "ok")]
    said = [f"C: MAIL FROM:<{SENDER}>", f"C: RCPT TO:<{RECIPIENT}>", "C: QUIT", "S: 250 2.1.0 Ok", "S: 250 2.1.5 Ok"]
    assert list(proof.transcript[-5:]) == said


@pytest.mark.parametrize(
    ("sender", "state"), [(b"550 5.7.1 Sender refused\r\n", "fail"), (b"451 4.3.0 Later\r\n", "warn")]
)
def test_the_answer_to_a_recipient_without_a_sender_says_nothing(sender, state):
    proof = proved(takes_ahead(sender, b"503 5.5.1 need MAIL first\r\n"))
    assert (proof.stages[-1].name, proof.stages[-1].state) == ("mail_from", state)


def test_who_does_not_take_commands_ahead_gets_them_one_by_one(provider):
    server = provider(plain=True)
    proof = prove(LocalHost(), Relay(port=server.port, tls="none"), sender=SENDER, recipient=RECIPIENT)
    assert proof.ok and proof.transcript[-1] == "C: QUIT" and proof.transcript[-2].startswith("S: 250")
