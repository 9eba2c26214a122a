"""Memory of the process tree: reading it, guarding it, giving it back."""
