"""What only contributors and `make` need: the Python environment, the engine, and the stack's life cycle.

Standard library alone, for it runs before anything is installed.
"""
