"""Programs with one planted kind of memory each, for `leak-suite explain` to name."""
