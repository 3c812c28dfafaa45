"""Steps of the lifecycle, a module each."""
