"""`python -m triptych` is the console command."""

from triptych.cli import app

if __name__ == "__main__":
    app()
