"""The doors: flags in, one library call, files out."""
