"""A provider that makes AWS resources in an account which is a folder: what is there, what refers to what, and what
happened. See `provider`."""
