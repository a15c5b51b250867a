"""Pipes: what one end sends the other receives, small or large, through a descriptor that everybody can wait for."""

import gc
import os
import pickle
import signal
import socket
import threading
import time
from multiprocessing import connection as standard
from multiprocessing import reduction

import pytest
import shoal
from shoal.connection import Connection, wait

SIZES = [0, 1, 1000, 1020, 1024, 1025, 32767, 32768, 40000, 1 << 20, 5 << 20]


@pytest.fixture(params=[True, False], ids=["duplex", "one way"])
def pipe(request):
    first, second = shoal.Pipe(request.param)
    yield first, second
    first.close()
    second.close()


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_every_size_arrive(pipe, size):
    receiver, sender = pipe
    data = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    data = data[:size]
    for _ in range(3):
        thread = threading.Thread(target=lambda: (sender.send(data), sender.send_bytes(data), sender.send([data] * 2)))
        thread.start()
        assert receiver.recv() == data
        assert receiver.recv_bytes() == data
        assert receiver.recv() == [data, data]
        thread.join(30)


def test_order_holds_when_nobody_empties_the_side(pipe):
    receiver, sender = pipe
    items = [bytes([i]) * (50000 if i % 2 else 10) for i in range(60)]
    thread = threading.Thread(target=lambda: [sender.send(item) for item in items])
    thread.start()
    time.sleep(0.2)
    assert [receiver.recv() for _ in items] == items
    thread.join(30)


def test_arrays_of_numpy_arrive_and_are_the_receivers_own(pipe):
    numpy = pytest.importorskip("numpy")
    receiver, sender = pipe
    for count in (600, 3000, 200000):
        sent = numpy.arange(count)
        thread = threading.Thread(target=sender.send, args=(sent,))
        thread.start()
        back = receiver.recv()
        thread.join(30)
        assert (back == sent).all() and back.flags.writeable


def answer(end):
    for item in iter(end.recv, None):
        end.send(item)


def test_processes_talk(context):
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs,))
    process.start()
    theirs.close()
    for size in SIZES:
        ours.send(b"x" * size)
        assert ours.recv() == b"x" * size
    ours.send(None)
    with pytest.raises(EOFError):
        ours.recv()
    process.join(30)
    assert process.exitcode == 0


def send_and_end(end, data):
    end.send(data)


def test_what_was_sent_outlives_its_sender(context):
    ours, theirs = context.Pipe(False)
    process = context.Process(target=send_and_end, args=(theirs, b"y" * 100000))
    process.start()
    theirs.close()
    process.join(30)
    gc.collect()
    assert ours.recv() == b"y" * 100000
    with pytest.raises(EOFError):
        ours.recv()


def test_killed_sender_is_an_end_of_file():
    ours, theirs = shoal.Pipe()
    process = shoal.Process(target=answer, args=(theirs,))
    process.start()
    theirs.close()
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises((EOFError, ConnectionResetError)):
        ours.recv()
    process.join(30)


def test_connection_travels_through_queue_and_connection(context):
    first, second = context.Pipe()
    carrier, queue = context.Pipe(), context.Queue()
    queue.put(second)
    again = queue.get(timeout=20)
    second.close()
    carrier[0].send(again)
    once_more = carrier[1].recv()
    again.close()
    first.send(b"z" * 70000)
    assert once_more.recv() == b"z" * 70000
    once_more.send("back")
    assert first.recv() == "back"


@pytest.mark.parametrize("size", [10, 100000])
def test_peer_may_be_the_standard_librarys(size):
    one, two = socket.socketpair()
    ours, theirs = Connection(one.detach()), standard.Connection(two.detach())
    data = (1, b"q" * size)
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        thread = threading.Thread(target=sender.send, args=(data,))
        thread.start()
        assert receiver.recv() == data
        thread.join(30)
    ours.send_bytes(pickle.dumps(data)[:1000] if size < 100 else b"x")
    assert theirs.recv_bytes()
    ours.close()
    theirs.close()


def test_what_send_wrote_can_be_read_as_a_pickle():
    first, second = shoal.Pipe()
    for item in (1, "two", (3, None), {"four": 4}, b"5" * 100000):
        second.send(item)
        assert reduction.ForkingPickler.loads(first.recv_bytes()) == item
        second.send_bytes(pickle.dumps(item))
        assert first.recv() == item


def test_wait_takes_ours_descriptors_and_sockets():
    first, second = shoal.Pipe()
    one, two = socket.socketpair()
    reading, writing = os.pipe()
    assert wait([first, one, reading], 0.02) == []
    second.send(1)
    two.send(b"x")
    os.write(writing, b"x")
    assert set(map(str, wait([first, one, reading], 5))) == set(map(str, [first, one, reading]))
    for fd in (reading, writing):
        os.close(fd)
    one.close()
    two.close()


def test_duplex_descriptor_is_a_socket_that_carries_descriptors():
    first, second = shoal.Pipe()
    with open(os.devnull) as file:
        reduction.send_handle(first, file.fileno(), os.getpid())
        fd = reduction.recv_handle(second)
        assert os.fstat(fd).st_rdev == os.fstat(file.fileno()).st_rdev
        os.close(fd)


def test_wrong_direction_and_closed_ends_are_refused():
    receiver, sender = shoal.Pipe(False)
    with pytest.raises(OSError, match="read-only"):
        receiver.send(1)
    for call in (sender.recv, sender.recv_bytes, sender.poll, lambda: sender.recv_bytes_into(bytearray(1))):
        with pytest.raises(OSError, match="write-only"):
            call()
    sender.close()
    sender.close()
    assert sender.closed and repr(sender)
    for call in (lambda: sender.send(1), sender.fileno, lambda: sender.send_bytes(b"")):
        with pytest.raises(OSError, match="handle is closed"):
            call()
    with pytest.raises(EOFError):
        receiver.recv()


def test_sending_to_nobody_is_a_broken_pipe():
    receiver, sender = shoal.Pipe()
    receiver.close()
    for data in (b"x", b"x" * 100000):
        with pytest.raises(BrokenPipeError):
            sender.send(data)


@pytest.mark.parametrize("offset, size", [(-1, None), (4, None), (0, -1), (2, 2), (0, 4)])
def test_ranges_outside_of_the_buffer_are_refused(offset, size):
    sender = shoal.Pipe()[1]
    with pytest.raises(ValueError):
        sender.send_bytes(b"abc", offset, size)


def test_ranges_of_a_buffer_are_sent_and_received():
    receiver, sender = shoal.Pipe()
    sender.send_bytes(b"abcdef", 2, 3)
    into = bytearray(b"......")
    assert receiver.recv_bytes_into(into, 1) == 3 and into == b".cde.."
    sender.send_bytes(b"longer than that")
    with pytest.raises(shoal.BufferTooShort) as caught:
        receiver.recv_bytes_into(into)
    assert caught.value.args == (b"longer than that",)
    sender.send_bytes(b"12345")
    with pytest.raises(OSError, match="bad message length"):
        receiver.recv_bytes(4)


def test_poll_waits_as_long_as_it_is_told():
    receiver, sender = shoal.Pipe()
    assert not receiver.poll() and not receiver.poll(-1)
    begin = time.monotonic()
    assert not receiver.poll(0.2)
    assert 0.2 <= time.monotonic() - begin < 5
    sender.send(1)
    assert receiver.poll() and receiver.poll(None)


def test_unpicklable_object_sends_nothing():
    receiver, sender = shoal.Pipe()

    class Bad:
        def __reduce__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sender.send(Bad())
    sender.send("next")
    assert receiver.recv() == "next"


def test_subclass_of_the_standard_connection():
    assert isinstance(shoal.Pipe()[0], standard.Connection)


def test_descriptors_are_closed_with_their_objects():
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(20):
        shoal.Pipe()
        shoal.Pipe(False)
    assert set(os.listdir("/proc/self/fd")) == before


def test_very_large_message_waits_for_its_receiver():
    receiver, sender = shoal.Pipe()
    thread = threading.Thread(target=sender.send, args=(bytes(16 << 20),))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert receiver.recv() == bytes(16 << 20)
    thread.join(30)
    assert not thread.is_alive()


def test_very_large_message_to_nobody_is_a_broken_pipe():
    receiver, sender = shoal.Pipe()
    threading.Timer(0.2, receiver.close).start()
    with pytest.raises(BrokenPipeError):
        sender.send(bytes(16 << 20))
