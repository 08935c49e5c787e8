"""`python -m hmmrnn`: the console command, where no script of that name is at hand."""

from hmmrnn.cli.console import main

if __name__ == "__main__":
    main()
