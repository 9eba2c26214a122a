"""The gate on the reference service: what CI runs before a change may land."""
