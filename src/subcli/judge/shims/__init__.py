"""What runs in the processes of solutions, as files: each must do without the rest of this program."""
