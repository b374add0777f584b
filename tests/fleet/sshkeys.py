"""SSH key pairs in OpenSSH's own formats."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


@dataclass(frozen=True)
class KeyPair:
    """`private` is a PEM text without passphrase, `public` one line "type base64"."""

    private: str
    public: str

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l prints it: SHA256:…, unpadded base64."""
        digest = sha256(b64decode(self.public.split()[1])).digest()
        return "SHA256:" + b64encode(digest).decode().rstrip("=")


def generate(kind: str = "ed25519") -> KeyPair:
    """kind: ed25519, ecdsa or rsa."""
    makers = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }
    return as_pair(makers[kind]())


def as_pair(key: PrivateKeyTypes) -> KeyPair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode())
