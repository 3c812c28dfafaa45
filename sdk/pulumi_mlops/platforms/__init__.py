"""Platforms: who runs a step and where its artefacts live."""
