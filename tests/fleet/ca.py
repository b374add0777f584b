"""The fleet's own certificate authority: right, expired, wrongly named and unknown certificates."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """PEM texts; `chain` is the server's certificate followed by its issuer's."""

    chain: str
    key: str


class Authority:
    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.key = key
        self.certificate = certificate

    @classmethod
    def create(cls, name: str = "Fleet test CA") -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = named(name)
        builder = dated(subject, subject, key, days=3650).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, pem: str, key_pem: str) -> Self:
        """The inverse of `pem` and `key_pem`."""
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(key, x509.load_pem_x509_certificate(pem.encode()))

    @property
    def key_pem(self) -> str:
        return private_pem(self.key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, *names: str, days: int = 365) -> Certificate:
        """For DNS `names`; a negative `days` is one that expired that long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = dated(named(names[0]), self.certificate.subject, key, days=days)
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        signed = builder.add_extension(alternatives, critical=False).sign(self.key, hashes.SHA256())
        return Certificate(signed.public_bytes(serialization.Encoding.PEM).decode() + self.pem, private_pem(key))


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    encoded = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode()


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def dated(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
    )
