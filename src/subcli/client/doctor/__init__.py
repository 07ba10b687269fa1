"""Checks everything between this machine and a verdict, for `subcli doctor`."""
