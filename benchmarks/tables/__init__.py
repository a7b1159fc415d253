"""What the library does with tables as people have them: accuracy, errors, time."""
