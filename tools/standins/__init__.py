"""Resource providers for tests, where those of AWS and Kubernetes can't be had: they accept anything and make nothing."""
