"""Objects come out of a queue as they went in."""

import array
import copyreg
import decimal
import multiprocessing.reduction
import os
import pickle
import random

import pytest
import shoal

PLAIN = [
    None, True, False, 0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**63 - 1, 2**63,
    -2**63, -2**63 - 1, 10**100, 0.0, -0.0, 1.5, float("inf"), 5e-324, "", "a", "é", "\U0001f41f", "\ud800", "x" * 255,
    "x" * 256, "x" * 5000, "é" * 5000, "\ud800" * 3000, b"", b"\0", b"x" * 255, b"x" * 256, b"x" * 1017, b"x" * 1018,
    b"x" * 1024, b"x" * 100000, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), tuple(range(32)), tuple(range(100)),
    ((((((((((1,),),),),),),),),),), (None, ("a", (b"b", 1.0)), ()), [], [1, [2]], {}, {"a": (1, {})}, {1, 2},
    bytearray(b"abc"), bytearray(100000), range(3), decimal.Decimal("1.5"), Ellipsis, 3j,
]


@pytest.fixture
def queue():
    return shoal.SimpleQueue()


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:30].encode("ascii", "replace").decode())
def test_value_comes_out_as_it_went_in(queue, value):
    queue.put(value)
    back = queue.get()
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def make(random_, depth=0):
    kinds = [lambda: None, lambda: random_.choice([True, False]),
             lambda: random_.getrandbits(random_.choice([7, 31, 70])),
             lambda: -random_.getrandbits(40), lambda: random_.random(),
             lambda: "".join(chr(random_.randrange(1, 0x3000)) for _ in range(random_.randrange(40))),
             lambda: bytes(random_.getrandbits(8) for _ in range(random_.randrange(400)))]
    if depth < 5:
        kinds += 3 * [lambda: tuple(make(random_, depth + 1) for _ in range(random_.randrange(6)))]
        kinds += [lambda: [make(random_, depth + 1) for _ in range(random_.randrange(4))]]
        kinds += [lambda: {random_.choice([n, str(n), (n, "x")]): make(random_, depth + 1)
                           for n in range(random_.randrange(4))}]
    return random_.choice(kinds)()


def test_thousands_of_random_values_come_out_as_they_went_in(queue):
    random_ = random.Random(1)
    for _ in range(5000):
        value = make(random_)
        queue.put(value)
        assert queue.get() == value


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 300, 5000])
def test_lists_and_dicts_of_any_length_keep_their_order(queue, count):
    for value in (list(range(count)), {count - n: str(n) for n in range(count)}, [[n] for n in range(count)]):
        queue.put(value)
        back = queue.get()
        assert type(back) is type(value) and repr(back) == repr(value)


def test_what_is_there_twice_or_in_itself_comes_out_so(queue):
    inner, other = [1], {}
    queue.put([inner, (inner, {"x": inner}), other, other])
    a, (b, c), d, e = queue.get()
    assert a is b is c["x"] and d is e and d is not a
    inner.append(inner)
    other["self"] = other
    queue.put((inner, other))
    a, d = queue.get()
    assert a[1] is a and a[0] == 1 and d["self"] is d
    empty = []
    queue.put([empty, empty])
    a, b = queue.get()
    assert a is b


def test_bytes_that_nobody_wrote_are_read_as_pickle_reads_them():
    random_ = random.Random(2)
    reading, writing = shoal.Pipe(False)
    seeds = []
    for value in (None, [1, True, 1.5, -7], ("ab", b"cd", 300, 70000), {"a": [], (1, 2): {}}, (((), (1,)), 2**40),
                  [[n] for n in range(5)], {n: (n,) for n in range(9)}):
        writing.send(value)
        seeds.append(reading.recv_bytes())  # in the package's own writing
    seeds += [b"\x80\x05" + text + b"." for text in (
        b"](K\x01e", b"}(K\x01K\x02u", b"}(K\x01u", b"(]e", b"](e", b"(K\x01\x85t", b"K\x01(\x85t", b"](]e}u",
        b"}(]K\x01u")]
    opcodes = b"()tNKMJe]}u.\x85\x86\x87\x88\x8c\x8a\x94"
    for number in range(3000):
        data = bytearray(seeds[number] if number < len(seeds) else random_.choice(seeds))
        for _ in range(random_.randrange(1, 4) if number >= len(seeds) else 0):
            data[random_.randrange(2, len(data))] = random_.choice(opcodes)
        data = bytes(data)
        try:
            expected = repr(pickle.loads(data))
        except Exception:
            expected = None
        writing.send_bytes(data)
        try:
            got = repr(reading.recv())
        except Exception:
            got = None
        assert got == expected, data


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x


class Name(str):
    pass


class Numbers(tuple):
    pass


def test_instances_and_subclasses_keep_their_class(queue):
    for value in (Point(3), Name("a"), Numbers((1, 2)), [Point(1), Point(1)]):
        queue.put(value)
        back = queue.get()
        assert type(back) is type(value) and back == value


def test_one_object_twice_is_one_object_behind(queue):
    part = [1]
    queue.put([part, part])
    back = queue.get()
    assert back[0] is back[1]


class Plain:
    pass


def test_registered_reducers_are_used_and_may_come_later(queue):
    queue.put(Plain())
    assert type(queue.get()) is Plain
    multiprocessing.reduction.ForkingPickler.register(Plain, lambda value: (int, ("7",)))
    queue.put(Plain())
    assert queue.get() == 7
    del multiprocessing.reduction.ForkingPickler._extra_reducers[Plain]
    copyreg.pickle(Plain, lambda value: (int, ("8",)))
    queue.put([Plain(), 1])
    assert queue.get() == [8, 1]
    del copyreg.dispatch_table[Plain]


class Nested:
    """Puts another object while it is pickled."""

    def __init__(self, queue):
        self.queue = queue

    def __reduce__(self):
        self.queue.put({"inner": 1})
        return int, ("1",)


def test_put_inside_of_put(queue):
    queue.put([Nested(queue)])
    assert [queue.get(), queue.get()] == [{"inner": 1}, [1]]


def test_large_buffer_is_the_receivers_own(queue):
    class Holder:
        def __init__(self, data):
            self.data = data

        def __reduce_ex__(self, protocol):
            return bytearray, (pickle.PickleBuffer(self.data),)

    data = bytearray(range(256)) * 1000
    queue.put([Holder(data), Holder(data)])
    data[0] = 9
    one, two = queue.get()
    one[1] = 77
    assert one[0] == 0 and two[1] == 1 and len(one) == 256000


def test_arrays_of_numpy_cross_and_can_be_written_to(queue):
    numpy = pytest.importorskip("numpy")
    for shape in ((0,), (3,), (1000, 100), (7, 11, 13, 17)):
        sent = numpy.random.default_rng(1).random(shape)
        queue.put((sent, {"f": numpy.asfortranarray(sent)}))
        back, other = queue.get()
        assert (back == sent).all() and (other["f"] == sent).all()
        back += 1
        assert back.flags.writeable
    frozen = numpy.arange(100000)
    frozen.flags.writeable = False
    queue.put(frozen)
    assert not queue.get().flags.writeable


def test_array_outlives_its_queue_and_its_block_is_given_back():
    numpy = pytest.importorskip("numpy")
    queue = shoal.SimpleQueue()
    kept = []
    for i in range(50):
        queue.put(numpy.full(200000, i))
        back = queue.get()
        if i % 10 == 0:
            kept.append((i, back))
    del queue
    for i, back in kept:
        assert (back == i).all()


def test_received_memory_is_private_after_a_fork():
    numpy = pytest.importorskip("numpy")
    queue, back, go = shoal.SimpleQueue(), shoal.SimpleQueue(), shoal.Event()
    queue.put(numpy.full(1 << 20, 1))
    array = queue.get()
    pid = os.fork()
    if pid == 0:
        try:
            go.wait()
            back.put(array.min() == array.max() == 1)
            array[:] = 3
            back.put(int(array[5]))
        finally:
            os._exit(0)
    array[:] = 2
    for _ in range(4):  # takes what the arena has back
        queue.put(numpy.full(1 << 20, 9))
        queue.get()
    go.set()
    assert back.get() and back.get() == 3
    os.waitpid(pid, 0)
    assert array.min() == array.max() == 2


def test_forks_do_not_cost_received_memory_its_contents():
    numpy = pytest.importorskip("numpy")
    queue = shoal.SimpleQueue()
    arrays = []
    for i in range(6):
        queue.put(numpy.full(100000, i))
        arrays.append(queue.get())
        process = shoal.Process(target=int)
        process.start()
        process.join(30)
    assert [int(array.sum()) for array in arrays] == [100000 * i for i in range(6)]


@pytest.mark.parametrize("make", [shoal.Queue, shoal.SimpleQueue])
def test_lambda_crosses_a_queue_where_cloudpickle_is_there(make):
    pytest.importorskip("cloudpickle")
    queue = make()
    queue.put([lambda x: x + 1])
    assert queue.get()[0](1) == 2


def test_array_module_crosses(queue):
    queue.put(array.array("d", range(5000)))
    assert queue.get()[4999] == 4999.0
