"""What the tests of a problem use: nodes, a simulated network, and exceptions for what a solution did wrong.

A test drives real processes of the solution through simulated time. Each step of the clock delivers the messages that
are due, sends every node a `tick`, and waits until all of them have answered. A slow machine makes a run slower, but
never different: nothing depends on how long a process takes to be scheduled.
"""

from subcli.judge.evidence import Site
from subcli.judge.harness.cluster import Cluster
from subcli.judge.harness.faults import (
    BadLine,
    NodeDied,
    NodeSilent,
    OutputFlood,
    SolutionFault,
    Violation,
)
from subcli.judge.harness.message import Message
from subcli.judge.harness.module import module
from subcli.judge.harness.network import Network

__all__ = [
    "BadLine",
    "Cluster",
    "Message",
    "Network",
    "NodeDied",
    "NodeSilent",
    "OutputFlood",
    "Site",
    "SolutionFault",
    "Violation",
    "module",
]
