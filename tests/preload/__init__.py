"""Commands of `subcli` that the tests start, forked from a process that has imported the program already.

Half of what a short command computes is importing itself. `client` puts itself between `subprocess` and the kernel:
``python -m subcli …`` becomes a request to `server`, a process that has done the imports and nothing else. It forks a
child that takes over argv, environment, directory, streams and session, and runs `subcli` as its main module. By the
kernel's account the child is our own: `wait`, signals, `/proc`, the process group and CPU times are as usual.

What is different: `/proc/PID/cmdline` and `environ` show the server's, and modules are there before they are needed.
A real process starts wherever the start itself may matter: see `client.can_fork`.
"""
