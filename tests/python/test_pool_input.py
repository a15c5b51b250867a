"""Pools: functions, items and sources out of the ordinary, and what cannot be started."""
import functools
import sys

import pytest

import shoal


def square(x):
    return x * x


@pytest.fixture
def forked():
    with shoal.get_context("fork").Pool(2) as pool:
        yield pool


@pytest.mark.parametrize("size", [1000, 100000])
def test_a_function_that_is_larger_than_its_few_items(forked, size):
    function = functools.partial(count_with, b"x" * size)
    assert forked.map(function, range(3)) == [size, size + 1, size + 2]


def count_with(data, x):
    return data.count(b"x") + x


def test_any_number_may_be_a_chunk(forked):
    assert list(forked.imap(square, iter(range(5)), chunksize=sys.maxsize)) == [0, 1, 4, 9, 16]
    assert forked.map(square, range(5), chunksize=sys.maxsize) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("size", [None, 3])
def test_a_source_that_exits(forked, size):
    def source():
        yield 2
        raise SystemExit(3)

    results = forked.imap(square, source(), buffersize=size)
    assert next(results) == 4
    with pytest.raises(SystemExit):
        next(results)


def test_a_callback_after_one_that_no_thread_could_be_had_for(forked, monkeypatch):
    def refuse():
        raise RuntimeError("no thread")

    monkeypatch.setattr(forked, "_start_handler", refuse)
    with pytest.raises(RuntimeError):
        forked.apply_async(square, (2,), callback=print)
    monkeypatch.undo()
    got = []
    forked.apply_async(square, (3,), callback=got.append).get(10)
    assert got == [9]


def test_a_pool_that_cannot_be_opened_says_why():
    class Refusing(shoal.pool.Pool):
        def _launch(self, index, *rest):
            if index == 1:
                raise LookupError("no second worker")
            return super()._launch(index, *rest)

    with pytest.raises(LookupError):
        Refusing(2, context=shoal.get_context("fork"))
