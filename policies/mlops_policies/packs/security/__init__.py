"""Encryption, isolation, identities and secrets of ML resources."""

from mlops_policies.packs.security import availability, encryption, images, isolation, notebooks

__all__ = ["availability", "encryption", "images", "isolation", "notebooks"]
