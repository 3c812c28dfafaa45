"""The spec: one document that declares an MLOps stack, a module per section."""
