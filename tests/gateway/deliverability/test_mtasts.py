"""MTA-STS judged (tests/golden/dns/mtasts.yml) and fetched: from a real TLS server that may be wicked."""

import ipaddress
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.deliverability import mtasts
from gateway.deliverability.mtasts import Fetched
from gateway.deliverability.policyfetch import LARGEST, fetch
from tests.gateway.deliverability.zone import Zone

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "dns" / "mtasts.yml"
CASES = [case for case in yaml.safe_load_all(GOLDEN.read_text()) if case]
HOST = "mta-sts.example.com"
GOOD = "version: STSv1\nmode: enforce\nmx: mx1.example.com\nmax_age: 604800\n"


def zone(record: str, mx=("mx1.example.com",), *, hostless: bool = False) -> Zone:
    records = {"example.com": [{"MX": [10, name]} for name in mx]}
    if record:
        records["_mta-sts.example.com"] = [{"TXT": record}]
    return Zone(records | ({} if hostless else {HOST: [{"A": "192.0.2.80"}]}))


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_as_the_golden_file_says(case):
    fetched = Fetched(case.get("text", ""), case.get("fault", ""), case.get("unknown", False))
    asked = []

    def fetch(host, addresses):
        asked.append((host, addresses))
        return fetched

    lookup = zone(case["record"], case["mx"], hostless=case.get("hostless", False))
    findings, _ = mtasts.judge("example.com", lookup, fetch, {})
    said = [(f"{f.area} {f.state} {f.word}", f.what) for f in findings]
    for wanted, part in case["finds"].items():
        assert any(key == wanted.partition("|")[0] and part in what for key, what in said), (wanted, part, said)
    assert case["finds"] or not findings
    assert asked in ([], [(HOST, ["192.0.2.80"])])
    assert all(mtasts.TO_YOU in f.hint for f in findings if f.state in ("warn", "fail", "unknown"))


def test_a_changed_policy_under_the_old_id_is_said_until_the_id_changes():
    def look(record, text, before):
        findings, seen = mtasts.judge("example.com", zone(record), lambda *_: Fetched(text), before)
        return any("its id was not" in f.what for f in findings), seen

    other = GOOD.replace("604800", "1209600")
    said, seen = look("v=STSv1; id=1", GOOD, {})
    assert not said
    assert look("v=STSv1; id=1", GOOD, seen) == (False, seen)
    said, still = look("v=STSv1; id=1", other, seen)
    assert said and still == seen
    assert look("v=STSv1; id=1", other, still)[0]
    said, new = look("v=STSv1; id=2", other, still)
    assert not said and new != seen
    assert look("v=STSv1; id=2", other, new) == (False, new)


def test_what_could_not_be_fetched_does_not_forget_the_policy_before():
    _, seen = mtasts.judge("example.com", zone("v=STSv1; id=1"), lambda *_: Fetched(GOOD), {})
    lost = Fetched(fault="timed out", unknown=True)
    assert mtasts.judge("example.com", zone("v=STSv1; id=1"), lambda *_: lost, seen)[1] == seen


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(path of a self-signed certificate for the policy host and its key, a context that trusts it)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("mtasts") / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path, ssl.create_default_context(cafile=str(path))


@contextmanager
def serving(path, answer):
    """A TLS server on loopback; answer(connection) writes what it likes. Gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        try:
            plain, _ = listening.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(4096)
                answer(connection)
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.close()
    thread.join(5)


def got(certificate, answer, *, seconds: float = 5, host: str = HOST) -> Fetched:
    path, context = certificate
    with serving(path, answer) as port:
        return fetch(host, ["127.0.0.1"], port=port, local=True, context=context, seconds=seconds)


def replying(head: str, body: bytes = GOOD.encode()):
    return lambda connection: connection.sendall(f"HTTP/1.1 {head}\r\n\r\n".encode() + body)


def test_a_policy_is_fetched(certificate):
    assert got(certificate, replying("200 OK\r\nContent-Type: text/plain; charset=utf-8")).text == GOOD


@pytest.mark.parametrize(
    ("head", "body", "fault"),
    [
        ("301 Moved\r\nLocation: https://example.org/", b"", "redirects"),
        ("404 Not Found\r\nContent-Type: text/plain", b"no", "404 Not Found"),
        ("200 OK\r\nContent-Type: text/html", b"<html>", "its type is text/html"),
        ("200 OK", b"version: STSv1", "its type is not given"),
        ("200 OK\r\nContent-Type: text/plain", b"x" * (LARGEST + 1), "larger than 64 KB"),
    ],
)
def test_what_senders_would_not_take_is_a_fault(certificate, head, body, fault):
    found = got(certificate, replying(head, body))
    assert fault in found.fault and not found.unknown and not found.text


def test_another_name_in_the_certificate_is_a_fault(certificate):
    found = got(certificate, replying("200 OK\r\nContent-Type: text/plain"), host="mta-sts.example.net")
    assert "certificate does not hold" in found.fault and not found.unknown


def test_a_trickle_is_cut_off(certificate):
    stop = threading.Event()

    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.05):
            connection.sendall(b"X-More: yes\r\n")

    try:
        found = got(certificate, trickle, seconds=0.6)
    finally:
        stop.set()
    assert found.unknown and "in time" in found.fault


@pytest.mark.parametrize("junk", [b"\x00\xff" * 50, b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000, b""])
def test_nonsense_harms_nobody(certificate, junk):
    found = got(certificate, lambda connection: connection.sendall(junk))
    assert found.unknown and found.fault


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"])
def test_addresses_inside_a_network_are_never_asked(address):
    assert ipaddress.ip_address(address)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        found = fetch(HOST, ["192.0.2.1", address], port=listening.getsockname()[1])
        assert "nothing is sent there" in found.fault
        with pytest.raises(TimeoutError):
            listening.accept()
