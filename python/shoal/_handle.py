"""What all of shoal's objects have in common: a handle that travels, in any message and at any time."""
from . import _core


class Handle:
    """For classes on a type of _core: pickled as the object's name, which any process of the family attaches to. The
    object lives while it is under way, whatever becomes of the sender (for the limit see arena/transit.h).
    """

    def __getstate__(self):
        return self._ref()

    def __setstate__(self, state):
        self._attach(state)

    def __reduce__(self):
        return rebuild, (type(self), self.__getstate__(), _core.ref_send(self._ref()))


def rebuild(cls, state, ticket):
    handle = cls.__new__(cls)
    handle.__setstate__(state)
    _core.ref_receive(ticket)
    return handle
