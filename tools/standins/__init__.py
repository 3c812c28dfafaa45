"""Resource providers for tests where the real ones can't be had.

`bin/` has those that accept anything and make nothing; `cluster/bin/` has one for Kubernetes that applies what it is
given to a real API server; `aws/bin/` has one for AWS that keeps what it makes in a folder. A test chooses by what it
puts on PATH.
"""
