"""The live view: frames on the alternate screen, then a summary."""
