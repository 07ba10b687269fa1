"""Foreign and own text as lines: wrapped, cut, coloured, compared."""
