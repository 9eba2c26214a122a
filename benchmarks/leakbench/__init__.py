"""Leakbench: the gate and its peers on the same leaky and clean jobs."""
