"""The user's code of the specs that the tests of this folder declare."""
