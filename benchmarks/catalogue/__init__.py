"""The gate on web applications and workers as people write them, each leaky and clean."""
