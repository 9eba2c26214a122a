"""Web applications, each leaky and clean."""
