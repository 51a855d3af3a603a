"""How a script's commands talk with their host: nobody answers them, and much output costs no more than its length."""

from typing import Any

from fabric.runners import Remote

END_OF_INPUT = b"\x04"  # what a terminal takes for it (VEOF in termios(3))


class UnaskedRemote(Remote):
    """Fabric's runner, with the standard input of the command at its end: a prompt ends it, and does not hang it.

    A command with watchers keeps its input open, because they write into it (`c.sudo` with a password).
    """

    read_chunk_size = 65536  # Invoke's is 1000: a thread's turn for each

    def start(self, *args: Any, **kwargs: Any) -> None:
        """See Fabric."""
        super().start(*args, **kwargs)
        if not self.watchers:
            if self.using_pty:
                self.channel.sendall(END_OF_INPUT)
            self.channel.shutdown_write()

    def respond(self, buffer_: list[str]) -> None:
        """See Invoke, which joins all that came so far for each new piece, also where nobody watches."""
        if self.watchers:
            super().respond(buffer_)
