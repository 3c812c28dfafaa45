"""Resource providers for tests where the real ones can't be had: they accept anything and make nothing."""
