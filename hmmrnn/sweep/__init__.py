"""Many networks as one: a folder of run folders, and the table of what they are and show."""
