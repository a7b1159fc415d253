"""Accuracy, errors and times of the library on people's tables."""
