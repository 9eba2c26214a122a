"""Workers and programs of several processes, each leaky and clean."""
