"""Tests of compiled training."""
