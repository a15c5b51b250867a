"""What others make of shoal's contexts: the standard library's executor, asyncio, joblib, torch's DataLoader."""

import asyncio
import concurrent.futures
import concurrent.futures.process
import os
import signal
import sys
import time

import pytest
import shoal


def square(x):
    return x * x


def fail(x):
    raise ValueError(x)


def echo(x):
    return x


@pytest.fixture
def executor(context):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        yield executor


def test_standard_executor_runs_tasks(executor):
    futures = [executor.submit(square, i) for i in range(50)]
    assert sorted(future.result(30) for future in concurrent.futures.as_completed(futures, 30)) == \
        [i * i for i in range(50)]
    assert list(executor.map(square, range(200), chunksize=7)) == [i * i for i in range(200)]


def test_standard_executor_passes_on_exceptions_and_large_data(executor):
    with pytest.raises(ValueError) as caught:
        executor.submit(fail, "wanted").result(30)
    assert caught.value.args == ("wanted",)
    assert "in fail" in str(caught.value.__cause__)
    data = os.urandom(5000000)
    assert executor.submit(echo, data).result(30) == data


def test_standard_executor_refuses_what_cannot_be_pickled_and_goes_on(executor):
    with pytest.raises(Exception, match="pickle|lambda|local object"):
        executor.submit(square, (i for i in ())).result(30)
    assert executor.submit(square, 3).result(30) == 9


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_standard_executor_is_broken_by_a_death_as_it_always_is(context, how):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        pending = [executor.submit(time.sleep, 30) for _ in range(2)]
        pending.append(executor.submit(square, 2))
        os.kill(next(iter(executor._processes)), how)
        for future in pending:
            with pytest.raises(concurrent.futures.process.BrokenProcessPool):
                future.result(30)
        with pytest.raises(concurrent.futures.process.BrokenProcessPool):
            executor.submit(square, 2)


def initialize(queue, value):
    queue.put(os.getpid())
    globals()["initialized"] = value


def get_initialized():
    return initialized  # noqa: F821: by initialize


def test_standard_executors_initializer_gets_our_queue(context):
    queue = context.Queue()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context, initializer=initialize,
                                                initargs=(queue, 5)) as executor:
        assert executor.submit(get_initialized).result(30) == 5
        assert queue.get(timeout=10) == next(iter(executor._processes))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="max_tasks_per_child is of 3.11")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_standard_executor_replaces_workers_after_their_tasks(method):
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=shoal.get_context(method),
                                                max_tasks_per_child=2) as executor:
        pids = [executor.submit(os.getpid).result(30) for _ in range(4)]
    assert pids[0] == pids[1] and pids[2] == pids[3] and pids[1] != pids[2]


def test_queue_travels_as_an_argument_of_a_standard_executors_task(executor, context):
    queue = context.Queue()
    executor.submit(queue.put, "hello").result(30)
    assert queue.get(timeout=10) == "hello"


def test_asyncio_awaits_tasks_of_an_executor_on_our_context(executor):
    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*[loop.run_in_executor(executor, square, i) for i in range(20)])

    assert asyncio.run(asyncio.wait_for(main(), 40)) == [i * i for i in range(20)]


def test_asyncio_waits_for_a_queue_in_a_thread(context):
    queue = context.Queue()
    process = context.Process(target=queue.put, args=("from afar",))

    async def main():
        got = asyncio.get_running_loop().run_in_executor(None, queue.get)
        process.start()
        return await asyncio.wait_for(got, 40)

    assert asyncio.run(main()) == "from afar"
    process.join(30)


def test_asyncio_watches_a_queues_reader(context):
    queue = context.Queue()
    process = context.Process(target=queue.put, args=("seen",))

    async def main():
        loop = asyncio.get_running_loop()
        got = loop.create_future()
        loop.add_reader(queue._reader.fileno(), lambda: got.done() or got.set_result(queue.get_nowait()))
        process.start()
        try:
            return await asyncio.wait_for(got, 40)
        finally:
            loop.remove_reader(queue._reader.fileno())

    assert asyncio.run(main()) == "seen"
    process.join(30)


JOBLIB = """
import joblib, shoal, sys

def square(x):
    return x * x

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    with joblib.parallel_config(backend="multiprocessing"):
        print(sum(joblib.Parallel(n_jobs=2)(joblib.delayed(square)(i) for i in range(100))))
    from joblib.pool import MemmappingPool
    with MemmappingPool(2, context=context, max_nbytes=None) as pool:
        print(sum(pool.map(square, range(100))), type(pool._ctx).__module__)
    queue = context.Queue()
    with joblib.parallel_config(backend="multiprocessing"):
        joblib.Parallel(n_jobs=2)(joblib.delayed(queue.put)(i) for i in range(10))
    print(sorted(queue.get(timeout=30) for _ in range(10)) == list(range(10)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_joblibs_pool_runs_on_our_context(method, run, tmp_path):
    pytest.importorskip("joblib", reason="no joblib")
    program = tmp_path / "program.py"
    program.write_text(JOBLIB)
    out, errors = run([str(program), method])
    assert out == "328350\n328350 shoal.context\nTrue\n", errors
    assert "Traceback" not in errors


TORCH = """
import shoal, sys, torch

class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        return torch.tensor([float(i * i)])

def send(queue, received):
    queue.put(torch.arange(1000))
    received.wait(30)  # torch's tensors are fetched from their sender

if __name__ == "__main__":
    context = shoal.get_context(sys.argv[1])
    loader = torch.utils.data.DataLoader(Squares(), batch_size=8, num_workers=2, multiprocessing_context=context)
    for _ in range(2):
        print(sum(batch.sum().item() for batch in loader))
    queue, received = context.Queue(), context.Event()
    process = context.Process(target=send, args=(queue, received))
    process.start()
    print(queue.get(timeout=30).sum().item())
    received.set()
    process.join(30)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_torchs_data_loader_runs_on_our_context(method, run, tmp_path):
    pytest.importorskip("torch", reason="no torch: it is too big to be among what the tests install")
    program = tmp_path / "program.py"
    program.write_text(TORCH)
    out, errors = run([str(program), method])
    assert out == "20540.0\n20540.0\n499500\n", errors
    assert "Traceback" not in errors
