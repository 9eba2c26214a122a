"""The suite on the reference service: the gate that CI runs. Not part of the wheel."""
