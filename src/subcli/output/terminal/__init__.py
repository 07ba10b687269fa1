"""What the terminal can do, and its title, progress and notifications."""
