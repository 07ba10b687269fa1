"""Languages in which solutions, and the programs of problem authors, are written."""
