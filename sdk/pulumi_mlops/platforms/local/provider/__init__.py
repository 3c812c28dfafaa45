"""The local resource provider: `pulumi-resource-mlops-local`, started by the engine.

A provider of our own instead of dynamic resources: errors without tracebacks, progress on the resource's own line,
drift found by `diff` as well as by `refresh`, cancellation, and no pickled code in the state
(docs/decisions/002-local-provider.md).
"""
