"""Running a command: what it prints on failure, and its exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from mlpgrad._core.version import __version__
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.parser import build_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 success, 1 failure, 2 wrong use.

    Examples
    --------
    >>> main(["--version"])
    mlpgrad ...
    0
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.version:
        print(f"mlpgrad {__version__}")
        return 0
    if options.command is None:
        parser.print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = int(options.run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as `| head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (CommandError, ValueError, TypeError, ArithmeticError, OSError) as error:
        print(f"mlpgrad: error: {_told(error)}", file=sys.stderr)
        return 2 if isinstance(error, CommandError) else 1


def _told(error: Exception) -> str:
    """The message of an error; for system errors the file and the reason, without the number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return str(error)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Show a warning of mlpgrad as one line, without its place in the code."""
    print(f"warning: {message}", file=sys.stderr)
