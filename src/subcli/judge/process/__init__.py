"""The processes of a solution: starting, confining, watching and killing them."""
