"""The packs: a package for each, a module for each concern."""
