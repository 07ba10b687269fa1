"""Files in the user's directories: code to submit, a new solution, history, the completion cache."""
