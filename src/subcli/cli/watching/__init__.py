"""Following submissions in a command: the loop, its views, its reports."""
