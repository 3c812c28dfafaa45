"""Where stacks come from: a captured program, the engine, an exported state."""
