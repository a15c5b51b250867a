"""What cannot be pickled, unpickled or held: an error from the call at hand, and nothing is lost or left behind."""

import pickle

import pytest
import shoal


class Refuses:
    """Cannot be pickled: by nobody, and not before much of its pickle is there."""

    def __init__(self, error=TypeError):
        self.error = error

    def __reduce__(self):
        raise self.error("no")


class Breaks:
    """Is pickled and does not unpickle, with as many bytes beside it as are asked for."""

    def __init__(self, *contents):
        self.contents = contents

    def __reduce__(self):
        return _break, self.contents


def _break(*_contents):
    raise ValueError("broken")


def contents_of(size):
    """As bytes in the ring, as bytes in a block, and as a buffer outside of the pickle."""
    return pickle.PickleBuffer(bytearray(400_000)) if size == "buffer" else b"x" * size


@pytest.mark.parametrize("size", [10, 100_000, "buffer"])
def test_a_message_that_does_not_unpickle_costs_itself_alone(size):
    queue = shoal.SimpleQueue()
    reading, writing = shoal.Pipe()
    for put, get in ((queue.put, queue.get), (writing.send, reading.recv)):
        for _ in range(3):
            put(Breaks(contents_of(size)))
            put("next")
            with pytest.raises(ValueError, match="broken"):
                get()
            assert get() == "next"


@pytest.mark.parametrize("size", [10, 100_000, "buffer"])
def test_what_cannot_be_pickled_is_not_sent_by_half(size):
    queue = shoal.SimpleQueue()
    reading, writing = shoal.Pipe()
    for put, get in ((queue.put, queue.get), (writing.send, reading.recv)):
        for _ in range(3):
            with pytest.raises(TypeError, match="no"):
                put([contents_of(size), Refuses()])
            put("next")
            assert get() == "next"


class Quiet(type(shoal.Queue())):
    """Keeps what its feeder would have printed."""

    errors = ()

    def _on_queue_feeder_error(self, e, obj):
        self.errors += (e,)


def test_a_bounded_queue_has_its_place_back_and_only_want_of_memory_is_raised():
    queue = Quiet(1, ctx=shoal.get_context())
    for _ in range(3):
        queue.put(Refuses())
    assert len(queue.errors) == 3 and queue.empty()
    with pytest.raises(MemoryError):
        queue.put(Refuses(MemoryError))
    queue.put(1)
    assert queue.full() and queue.get() == 1


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (48 << 20, 48 << 20))
import shoal

def fill(put, item):
    count = 0
    while True:
        try:
            put(item)
        except MemoryError:
            return count
        count += 1

def drain(queue, count):
    for _ in range(count):
        queue.get()

if __name__ == "__main__":
    queue = shoal.{kind}()
    for item in ({item}, b"x" * 50_000, 1):
        count = fill(queue.put, item)
        print(count > 0, {size})
        process = shoal.Process(target=drain, args=(queue, count))
        process.start()
        process.join()
        print(process.exitcode, queue.empty())
"""


@pytest.mark.parametrize("item", ["b'x' * 1_000_000", "bytearray(6_000_000)", "(b'x' * 900, 1)"])
@pytest.mark.parametrize("kind,size", [("Queue", "queue.qsize() == count"), ("SimpleQueue", "True")])
def test_a_full_arena_is_a_memory_error_from_put_and_another_process_empties_it(run, kind, size, item):
    out, _ = run(FULL.format(kind=kind, size=size, item=item))
    assert out == "True True\n0 True\n" * 3


@pytest.mark.parametrize("kind", ["b'x' * 400_000", "pickle.PickleBuffer(bytearray(400_000))"])
def test_blocks_of_messages_that_do_not_unpickle_are_given_back(run, kind):
    out, _ = run("""
import pickle, resource
resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))
import shoal

class Breaks:
    def __reduce__(self):
        return int, (%s,)

queue = shoal.SimpleQueue()
reading, writing = shoal.Pipe()
for _ in range(200):
    for put, get in ((queue.put, queue.get), (writing.send, reading.recv)):
        put(Breaks())
        try:
            get()
        except (TypeError, ValueError):
            continue
        print("was unpickled")
""" % kind)
    assert out == ""


def test_a_pipe_sends_what_the_arena_has_no_room_for(run):
    out, _ = run("""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))
import shoal

def work(connection):
    print(sum(len(connection.recv()) for _ in range(3)), flush=True)

if __name__ == "__main__":
    reading, writing = shoal.Pipe(False)
    process = shoal.Process(target=work, args=(reading,))
    process.start()
    for _ in range(3):
        writing.send(b"x" * 20_000_000)
    process.join()
""")
    assert out == "60000000\n"
