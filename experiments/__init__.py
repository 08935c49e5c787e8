"""Programs of research, run in a checkout; the doors of the console command `hmmrnn` among them."""
