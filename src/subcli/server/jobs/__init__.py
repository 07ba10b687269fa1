"""The job queue, and the workers that judge."""
