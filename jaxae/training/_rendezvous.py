"""A rendezvous: all processes meet at the coordinator's port, or say who is missing.

JAX's own service ends the whole process, by a fatal error without the address, where another does
not come in time. So the processes meet here first, and the service then starts at the same port.
"""

import re
import socket
import time
from contextlib import ExitStack, suppress

GREETING = re.compile(rb"jaxae process (\d{1,9}) of (\d{1,9})\n")
GO = b"go\n"
LONGEST, PAUSE = 256, 0.1


class Deadline:
    """A time by which something is to be done.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float):
        self.seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """How many seconds are left; almost none after it."""
        return max(0.001, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return time.monotonic() >= self._end


def meet(coordinator: str, processes: int, process: int, timeout: float) -> None:
    """Return when all processes are there.

    Args:
        coordinator: HOST:PORT of process 0.
        processes: how many there are.
        process: which this one is.
        timeout: for how many seconds to wait.

    Raises:
        ValueError: an address without a port; processes that do not fit together.
        TimeoutError: the coordinator does not answer, or a process is missing.
        OSError: the port cannot be listened at.
    """
    host, port = _parts(coordinator)
    deadline = Deadline(timeout)
    if process == 0:
        _await_others(coordinator, port, processes, deadline)
    else:
        _greet(coordinator, (host, port), f"jaxae process {process} of {processes}\n", deadline)


def _parts(coordinator: str) -> tuple[str, int]:
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"coordinator is {coordinator!r}, expected HOST:PORT, e.g. 10.0.0.1:1234")
    return host.strip("[]"), int(port)


def _await_others(coordinator: str, port: int, processes: int, deadline: Deadline) -> None:
    there: dict[int, socket.socket] = {}
    with ExitStack() as opened:
        listener = opened.enter_context(_listener(coordinator, port))
        while len(there) < processes - 1:
            listener.settimeout(deadline.left)
            try:
                connection = opened.enter_context(listener.accept()[0])
            except TimeoutError:
                missing = [str(i) for i in range(1, processes) if i not in there]
                raise TimeoutError(
                    f"of {processes} processes, {', '.join(missing)} did not come to {coordinator} "
                    f"within {deadline.seconds:g} s; start each of them with this address"
                ) from None
            with suppress(OSError):
                _admit(connection, processes, there)
        listener.close()  # JAX's service is to listen there
        for connection in there.values():
            connection.sendall(GO)


def _listener(coordinator: str, port: int) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise OSError(f"process 0 cannot listen at {coordinator}: {error}") from error


def _admit(connection: socket.socket, processes: int, there: dict[int, socket.socket]) -> None:
    """Keep the connection of a process that is expected, and tell others why they are not."""
    connection.settimeout(5.0)
    greeting = GREETING.fullmatch(connection.recv(LONGEST))
    if greeting is None:
        connection.close()
        return
    process, total = map(int, greeting.groups())
    if total == processes and 0 < process < processes and process not in there:
        there[process] = connection
        return
    fault = "is there already" if total == processes else f"is one of {total}, not of {processes}"
    connection.sendall(f"process {process} {fault}\n".encode())
    connection.close()


def _greet(coordinator: str, address: tuple[str, int], greeting: str, deadline: Deadline) -> None:
    while True:
        try:
            answer = _answer(address, greeting, deadline)
            break
        except OSError as error:
            if deadline.passed:
                raise TimeoutError(
                    f"no answer from the coordinator at {coordinator} within "
                    f"{deadline.seconds:g} s ({error}); is process 0 running, and can this machine "
                    "reach it?"
                ) from None
            time.sleep(min(PAUSE, deadline.left))
    if answer != GO:
        said = answer.decode(errors="replace").strip()
        raise ValueError(f"the coordinator at {coordinator} refuses this process: {said}")


def _answer(address: tuple[str, int], greeting: str, deadline: Deadline) -> bytes:
    with socket.create_connection(address, timeout=deadline.left) as connection:
        connection.sendall(greeting.encode())
        connection.settimeout(deadline.left)
        answer = connection.recv(LONGEST)
    if not answer:
        raise ConnectionError("it hung up")
    return answer
