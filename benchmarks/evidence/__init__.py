"""Evidence: what is too long for CI, run in pieces that can be resumed, and kept as figures."""
