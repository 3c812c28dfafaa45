"""The commands that look after a stack in a cluster: by its API server, and MLflow through a forwarded port."""
