"""Text as lines of a terminal: wrapped, cut, coloured, compared."""
