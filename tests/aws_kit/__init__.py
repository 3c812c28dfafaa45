"""What proves AWS resources without an account: the service's own models, the meaning of documents, real-form state."""
