"""Web pages, rendered here and kept up to date by a little JavaScript; they work without it and load nothing else."""
