"""Command lines: flags in, one library call, files out."""
