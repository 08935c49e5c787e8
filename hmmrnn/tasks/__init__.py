"""Tasks: networks with a known mechanism, for judging what `circuits` finds."""
