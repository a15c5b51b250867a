"""What all of shoal's objects have in common: a handle that travels, in any message and at any time."""


class Handle:
    """For classes on a type of _core: pickled as the object's name, which any process of the family attaches to."""

    def __getstate__(self):
        return self._ref()

    def __setstate__(self, state):
        self._attach(state)

    def __reduce__(self):
        return rebuild, (type(self), self.__getstate__())


def rebuild(cls, state):
    handle = cls.__new__(cls)
    handle.__setstate__(state)
    return handle
