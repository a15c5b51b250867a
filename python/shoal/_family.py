"""How a process's children come into its family, whichever way they are started."""
import contextlib
import multiprocessing.spawn
import os
from multiprocessing import process
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import DupFd

from . import _core

VARIABLE = "SHOAL_FAMILY"

# Runs in a child before anything of the program is there: even this package may not be on its path yet.
_JOIN = ("__import__('sys').path.append(folder) or "
         "__import__('shoal._family', fromlist=['join']).join(descriptor, place, family, ticket, redirected)")


def join(descriptor, place, family, ticket, redirected):
    """In a child that was started afresh: enter its parent's family, and die with the main process."""
    if ticket is not None:
        fd = ticket.detach()
        os.set_inheritable(fd, False)
        _core.family_follow(fd)
    fd = descriptor.detach()
    os.set_inheritable(fd, False)
    if not _core.family_join(fd, place, family):
        os.close(fd)
    if redirected:
        from . import _redirect
        _redirect.install()


class Ticket:
    """Goes with what a child needs to start, and brings it into the family when it is unpickled."""

    def __reduce__(self):
        from . import _redirect
        popen = get_spawning_popen()
        if popen is None:
            raise TypeError("a ticket is for a child that is being started")
        return eval, (_JOIN, {
            "folder": os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
            "descriptor": DupFd(_core.family_descriptor()),
            "place": getattr(popen, "_place", 0),
            "family": _core.family_enter(),
            "ticket": DupFd(popen._ticket) if getattr(popen, "_ticket", None) is not None else None,
            "redirected": _redirect.is_installed(),
        })


def _get_preparation_data(name, *args):
    data = _standard_preparation_data(name, *args)
    if name != "ignore":  # so the fork server asks for itself
        data["shoal"] = Ticket()
    return data


if multiprocessing.spawn.get_preparation_data.__name__ != "_get_preparation_data":
    _standard_preparation_data = multiprocessing.spawn.get_preparation_data
    multiprocessing.spawn.get_preparation_data = _get_preparation_data

def _map_from_environment():
    """In a fork server that shoal started: what it makes while it preloads is of the family that it serves."""
    pid, fd, family = map(int, os.environ.pop(VARIABLE).split())
    try:
        fd = os.open("/proc/%d/fd/%d" % (pid, fd), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    if not _core.family_map(fd, family):
        os.close(fd)


@contextlib.contextmanager
def in_environment():
    """What is started meanwhile finds the family by its environment."""
    os.environ[VARIABLE] = "%d %d %d" % (os.getpid(), _core.family_descriptor(), _core.family_enter())
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)


if VARIABLE in os.environ:
    _map_from_environment()


def _after_fork():
    """In a child, whoever forked it: its parent's children are not its own, to join or to end at its exit."""
    _core.family_after_fork()
    process._children.clear()


os.register_at_fork(before=_core.family_before_fork, after_in_child=_after_fork)
