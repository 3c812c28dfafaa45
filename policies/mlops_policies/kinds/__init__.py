"""Type tokens, and views that several rules share."""
