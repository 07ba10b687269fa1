"""The view for GitHub Actions: a group, annotations, the job summary."""
