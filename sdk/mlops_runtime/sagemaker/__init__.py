"""SageMaker's jobs: the contract between their containers and the runtime's commands."""
