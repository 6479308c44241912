"""Ports that nobody listens on, for processes that are to be started: `ports.py COUNT` prints them.

Below the range that the kernel gives to outgoing connections: out of that one, another connection could take a port before the
process does, or a client that waits for the process could be connected with itself.
"""

import itertools
import random
import socket
import sys

FIRST, END = 10_000, 32_000


def free_ports(count):
    found = []
    start = random.randrange(FIRST, END)
    for port in itertools.chain(range(start, END), range(FIRST, start)):
        if len(found) == count:
            break
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
    assert len(found) == count, "there are no free ports"
    return found


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
