"""Ctrl-C while processes are forked."""
import signal
import threading

_replaced = None  # the handler in whose place the outermost Held has put its own


class Held:
    """Ctrl-C waits until the processes are there: then the program's handler is called.

    What runs at a fork cannot raise: it would swallow the interrupt, and leave a lock of logging's held. Where blocks,
    the signal is blocked too, so that a child that is started meanwhile begins with it blocked. That alone does not do:
    the kernel may give the signal to another thread, and the main thread runs the handler all the same.
    """

    def __init__(self, blocks=True):
        self._blocked = (signal.SIGINT,) if blocks else ()
        self._handler = None
        self._noted = []

    def __enter__(self):
        global _replaced
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                signal.signal(signal.SIGINT, self._note)
                self._handler = handler
                _replaced = _replaced or handler
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._blocked)
        return self

    def __exit__(self, *exception):
        global _replaced
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        if self._handler is not None:
            if _replaced is self._handler:
                _replaced = None
            signal.signal(signal.SIGINT, self._handler)
            if self._noted:
                self._handler(*self._noted[0])

    def _note(self, *signal_and_frame):
        self._noted.append(signal_and_frame)


def forget():
    """In a child that was forked meanwhile: Ctrl-C does what it did in its parent before."""
    global _replaced
    if _replaced is not None:
        signal.signal(signal.SIGINT, _replaced)
        _replaced = None
