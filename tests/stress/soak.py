"""soak.py - a family of Python processes that do random things with shoal's objects, while a controller kills, stops
and continues them at random; and a ledger of what has to have come of it.

usage: soak.py [SECONDS]          SOAK_SEED repeats the controller's choices

The ledger is memory that all share outside of shoal, written byte by byte, so that a kill leaves it whole. Each message
has a sender and a number: its byte says tried, refused or put, another how often it was got. After each round all
processes have ended, and each message that was put was got once or is explained by a death in a get."""

import mmap
import os
import queue as standard_queue
import random
import signal
import struct
import sys
import threading
import time
import zlib

import shoal
from shoal.pool import WorkerLostError

ACTORS = 5
QUEUES = 2
MOST = 1 << 16
ROUND = 5.0  # seconds
STUCK = 30.0  # seconds that one operation may take
TRIED, REFUSED, PUT = 1, 2, 3  # PUT + number of the queue
OPERATIONS = ["put", "get", "lock", "recursive lock", "condition", "event", "barrier", "pipe", "value", "pool",
              "process"]
WEIGHTS = [30, 34, 12, 6, 5, 5, 3, 3, 6, 1, 1]


class Ledger:
    """Where it stands what each actor has tried and done."""

    def __init__(self):
        self.map = mmap.mmap(-1, ACTORS * 2 * MOST + 4096)
        self.desk_at = ACTORS * 2 * MOST

    def put_at(self, actor, number):
        return actor * 2 * MOST + number

    def got_at(self, actor, number):
        return actor * 2 * MOST + MOST + number

    def next_number(self, actor):
        """After a death the next process goes on behind what was tried."""
        return self.map.find(b"\0", self.put_at(actor, 1), self.put_at(actor, MOST)) - self.put_at(actor, 0)

    # What a desk says: the operation, and which queue may lose a message with a death now (0: none), steps.
    def note(self, actor, operation):
        self.map[self.desk_at + actor * 16] = operation
        self.map[self.desk_at + actor * 16 + 2] = (self.map[self.desk_at + actor * 16 + 2] + 1) % 256

    def may_lose(self, actor, what):
        self.map[self.desk_at + actor * 16 + 1] = what

    def desk(self, actor):
        """(operation, what may be lost, steps)"""
        return tuple(self.map[self.desk_at + actor * 16:self.desk_at + actor * 16 + 3])

    # Who is in a room: a pid, or 0.
    def occupant(self, room):
        return struct.unpack_from("@I", self.map, self.desk_at + 2048 + room * 8)[0]

    def occupy(self, room, pid):
        struct.pack_into("@I", self.map, self.desk_at + 2048 + room * 8, pid)


class Stage:
    """What all do things with."""

    def __init__(self):
        self.queues = [shoal.Queue(50), shoal.Queue()]
        self.locks = [shoal.Lock(), shoal.RLock()]
        self.condition = shoal.Condition(shoal.Lock())
        self.event = shoal.Event()
        self.over = shoal.Event()
        self.barrier = shoal.Barrier(2)
        self.value = shoal.Value("q", 0)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def square(x):
    return x * x


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


class Actor:
    def __init__(self, number, ledger, stage, seed):
        self.number, self.ledger, self.stage = number, ledger, stage
        self.random = random.Random(seed)
        self.next = ledger.next_number(number)
        self.seen = {}

    def run(self):
        while not self.stage.over.is_set():
            operation = self.random.choices(range(len(OPERATIONS)), WEIGHTS)[0]
            self.ledger.note(self.number, operation)
            getattr(self, "do_" + OPERATIONS[operation].replace(" ", "_"))()

    def a_while(self):
        return self.random.random() * 0.01

    def do_put(self):
        number, which = self.next, self.random.randrange(QUEUES)
        if number >= MOST or self.stage.queues[1].qsize() > 200:
            return
        body = self.random.randbytes(self.random.choice([0, 10, 900, 3000, 100000]))
        message = (self.number, number, which, body, zlib.crc32(body))
        self.next += 1
        at = self.ledger.put_at(self.number, number)
        self.ledger.map[at] = TRIED
        try:
            self.stage.queues[which].put(message, timeout=self.a_while())
            self.ledger.map[at] = PUT + which
        except standard_queue.Full:
            self.ledger.map[at] = REFUSED

    def do_get(self):
        which = self.random.randrange(QUEUES)
        self.ledger.may_lose(self.number, 1 + which)
        try:
            take(self.ledger, self.seen, which, self.stage.queues[which].get(timeout=self.a_while()))
        except standard_queue.Empty:
            pass
        self.ledger.may_lose(self.number, 0)

    def be_in(self, room, told):
        """Nobody else is in the room, but for one who died there, of which the lock has to have told."""
        before, patience = self.ledger.occupant(room), time.monotonic() + STUCK
        while before and is_alive(before):
            assert time.monotonic() < patience, f"{before} is in there, and lives"
            time.sleep(0.001)
        assert not before or told, "the last owner died holding the lock, and it did not say so"
        self.ledger.occupy(room, os.getpid())
        if self.random.random() < 0.3:
            time.sleep(self.random.random() * 0.002)
        assert self.ledger.occupant(room) == os.getpid()
        self.ledger.occupy(room, 0)

    def do_lock(self):
        with self.stage.locks[0]:
            self.be_in(0, self.stage.locks[0].owner_died)

    def do_recursive_lock(self):
        with self.stage.locks[1]:
            told = self.stage.locks[1].owner_died
            with self.stage.locks[1]:
                self.be_in(1, told)

    def do_condition(self):
        with self.stage.condition:
            if self.random.random() < 0.5:
                self.stage.condition.notify_all()
            else:
                self.stage.condition.wait(self.a_while())

    def do_event(self):
        event = self.stage.event
        self.random.choice([event.set, event.clear, lambda: event.wait(self.a_while())])()

    def do_barrier(self):
        try:
            assert self.stage.barrier.wait(self.a_while()) in (0, 1)
        except threading.BrokenBarrierError:
            self.stage.barrier.reset()

    def do_pipe(self):
        here, there = shoal.Pipe()
        here.send([self.number, b"x" * 2000])
        assert there.recv() == [self.number, b"x" * 2000]
        here.close()
        there.close()

    def do_value(self):
        with self.stage.value:
            self.stage.value.value += 1

    def do_pool(self):
        with shoal.Pool(2) as pool:
            dying = [self.random.random() < 0.1 for _ in range(20)]
            results = [pool.apply_async(die if dies else square, (i,)) for i, dies in enumerate(dying)]
            for i, (dies, result) in enumerate(zip(dying, results)):
                try:
                    assert result.get(STUCK) == i * i and not dies
                except WorkerLostError:
                    assert dies, "a task was lost without a death"
            assert pool.map(square, range(30)) == [i * i for i in range(30)]

    def do_process(self):
        process = shoal.Process(target=time.sleep, args=(self.a_while(),))
        process.start()
        kills = self.random.random() < 0.5
        if kills:
            process.kill()
        process.join(STUCK)
        assert process.exitcode in ((0, -signal.SIGKILL) if kills else (0,)), process.exitcode


def take(ledger, seen, which, message):
    """Look at a message, and note that it came."""
    sender, number, queue, body, checksum = message
    assert queue == which and checksum == zlib.crc32(body)
    assert number > seen.get((which, sender), 0), "messages of one sender came in another order"
    seen[which, sender] = number
    ledger.map[ledger.got_at(sender, number)] += 1


def play(number, ledger, stage, seed):
    Actor(number, ledger, stage, seed).run()


class Controller:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.stage = Stage()
        self.actors = [None] * ACTORS
        self.moved = [None] * ACTORS
        self.counts = dict.fromkeys(["kills", "stops", "sent", "got", "lost", "explained", "unsaid"], 0)
        self.killed_in = dict.fromkeys(OPERATIONS, 0)
        self.levels = []

    def start(self, i):
        self.actors[i] = shoal.Process(target=play, args=(i, self.ledger, self.stage, self.random.random()))
        self.actors[i].start()

    def kill(self, i):
        self.actors[i].kill()
        self.actors[i].join(STUCK)
        assert self.actors[i].exitcode == -signal.SIGKILL, f"an actor ended with {self.actors[i].exitcode}"
        operation, may_lose, _ = self.ledger.desk(i)
        if may_lose:
            self.explained[may_lose - 1] += 1
            self.ledger.may_lose(i, 0)
        self.killed_in[OPERATIONS[operation]] += 1
        self.counts["kills"] += 1

    def look_after(self, i):
        steps, now = self.ledger.desk(i), time.monotonic()
        if self.moved[i] is None or self.moved[i][0] != steps:
            self.moved[i] = steps, now
        assert now - self.moved[i][1] < STUCK, f"stuck in {OPERATIONS[steps[0]]}"

    def rage(self, end):
        stopped = {}
        while time.monotonic() < end:
            time.sleep(self.random.random() * 0.05)
            i = self.random.randrange(ACTORS)
            if i not in stopped and self.random.random() < 0.3:
                os.kill(self.actors[i].pid, signal.SIGSTOP)
                stopped[i] = time.monotonic() + self.random.random() * 0.05
                self.counts["stops"] += 1
            else:
                stopped.pop(i, None)
                self.kill(i)
                self.start(i)
            for k in [k for k, until in stopped.items() if time.monotonic() >= until]:
                os.kill(self.actors[k].pid, signal.SIGCONT)
                del stopped[k]
            for k in range(ACTORS):
                self.look_after(k)

    def end_round(self):
        self.stage.over.set()
        for actor in self.actors:
            os.kill(actor.pid, signal.SIGCONT)
        for i, actor in enumerate(self.actors):
            actor.join(STUCK)
            assert actor.exitcode == 0, f"an actor ended with {actor.exitcode} in {OPERATIONS[self.ledger.desk(i)[0]]}"
        self.stage.over.clear()
        seen = {}
        for which, queue in enumerate(self.stage.queues):
            while not queue.empty():
                take(self.ledger, seen, which, queue.get())

    def judge(self):
        lost = [0] * QUEUES
        for actor in range(ACTORS):
            for number in range(1, self.ledger.next_number(actor)):
                put = self.ledger.map[self.ledger.put_at(actor, number)]
                got = self.ledger.map[self.ledger.got_at(actor, number)]
                assert got <= 1 and not (put == REFUSED and got), (actor, number, put, got)
                self.counts["sent"] += put >= PUT
                self.counts["got"] += got
                self.counts["unsaid"] += put == TRIED and got
                if put >= PUT and not got:
                    lost[put - PUT] += 1
        for which in range(QUEUES):
            assert lost[which] <= self.explained[which], (lost, self.explained)
        self.counts["lost"] += sum(lost)
        self.counts["explained"] += sum(self.explained)

    def sample(self):
        arena = os.fstat(shoal._core.family_descriptor()).st_blocks // 2
        with open("/proc/self/statm") as file:
            own = (lambda sizes: int(sizes[1]) - int(sizes[2]))(file.read().split()) * 4
        self.levels.append((arena, own, len(os.listdir("/proc/self/fd"))))

    def play_round(self):
        self.ledger = Ledger()
        self.explained = [0] * QUEUES
        for i in range(ACTORS):
            self.start(i)
        self.moved = [None] * ACTORS
        self.rage(time.monotonic() + ROUND)
        self.end_round()
        self.judge()
        self.ledger.map.close()
        self.sample()

    def report(self, seconds, seed):
        print(f"soak.py: {seconds:.0f} s in {len(self.levels)} rounds, SOAK_SEED={seed}")
        print(", ".join(f"{what} {count}" for what, count in self.counts.items()))
        print("killed in:", ", ".join(f"{what} {count}" for what, count in self.killed_in.items() if count))
        first, last = self.levels[0], self.levels[-1]
        for name, a, b, most in zip(["arena, KiB", "own memory, KiB", "descriptors"], first, last,
                                    map(max, zip(*self.levels))):
            print(f"{name}: first round {a}, last {b}, most {most}")
        if len(self.levels) > 50:
            fifth = len(self.levels) // 5
            begin, end = [list(map(max, zip(*part))) for part in (self.levels[:fifth], self.levels[-fifth:])]
            assert end[0] <= begin[0] * 1.25 and end[1] <= begin[1] * 1.25 and end[2] <= begin[2], (begin, end)


def main(seconds):
    seed = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(1 << 32)))
    controller, begin = Controller(seed), time.monotonic()
    try:
        while time.monotonic() - begin < seconds:
            controller.play_round()
    except BaseException:
        print(f"soak.py: failed, SOAK_SEED={seed}", flush=True)
        raise
    controller.report(time.monotonic() - begin, seed)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else float(os.environ.get("SOAK_SECONDS", 10)))
