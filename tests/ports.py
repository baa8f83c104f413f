"""A port that is ours from the moment at which it is known, whether somebody listens there or not.

One that is only looked up, and let go until the program begins to listen there, may be somebody
else's by then: the tests open hundreds of ports, and several workers run at once.
"""

from __future__ import annotations

import os
import socket
import weakref


class Held:
    """No other program is given this port while this object lives; whoever calls it is refused.

    Who listens there must set SO_REUSEADDR, as servers do.
    """

    def __init__(self) -> None:
        taken = socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        self.port: int = taken.getsockname()[1]
        weakref.finalize(self, os.close, taken.detach())
