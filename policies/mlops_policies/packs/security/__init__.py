"""Encryption, isolation, identities and secrets of ML resources."""
