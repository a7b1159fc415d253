"""Runs the command line in this process."""

from mlpgrad.cli import main


def run(capsys, *arguments):
    """Run the command; return the exit code, stdout and stderr."""
    try:
        code = main(arguments)
    except SystemExit as left:
        code = left.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err
