"""GitHub Actions: group, annotations, job summary."""
