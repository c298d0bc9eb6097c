"""Pure trading rules and values; standard library only, no clock, no randomness, no sockets."""
