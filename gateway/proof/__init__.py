"""Proves an SMTP account from a server's own network position, before anything changes there."""

from gateway.proof.proving import PUBLIC, prove, secrets
from gateway.proof.values import Proof, Relay, Stage

__all__ = ["PUBLIC", "Proof", "Relay", "Stage", "prove", "secrets"]
