"""The reference service: a memory-safe pose service, and the first subject of the harness."""
