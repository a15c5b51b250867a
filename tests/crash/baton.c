/* baton.c - a process of a pair: goes on while it has the baton, and passes it, or dies, where the schedule says. */
#include "baton.h"

#include "board.h"
#include "watch.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TURNS_MAX 3 /* of a loop that are points */

struct baton *baton;

static unsigned self;
static uintptr_t last_pc;
static struct {
    uintptr_t pc;
    unsigned count;
} turns[BATON_WRITERS];

unsigned pair_self(void)
{
    return self;
}

void baton_tell_agent(void)
{
    if (write(baton->to_agent, &(uint64_t){1}, sizeof(uint64_t)) != sizeof(uint64_t))
        abort();
}

void baton_hear(void)
{
    uint64_t count;

    while (read(baton->to_agent, &count, sizeof count) > 0)
        ;
}

void baton_give(uint32_t holder)
{
    atomic_store(&baton->holder, holder);
    syscall(SYS_futex, &baton->holder, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    if (holder == BATON_AGENT)
        baton_tell_agent();
}

static void await_holder(uint32_t wanted)
{
    struct baton_process *me = &baton->process[self];
    uint32_t now;

    atomic_store(&me->waits, 1);
    while ((now = atomic_load(&baton->holder)) != wanted && now != BATON_END)
        syscall(SYS_futex, &baton->holder, FUTEX_WAIT, now, NULL, NULL, 0);
    atomic_store(&me->waits, 0);
    step_forget_changes();
}

bool baton_is_ready(unsigned who)
{
    const struct baton_process *process = &baton->process[who];
    return !atomic_load(&process->is_asleep) && !atomic_load(&process->finished) && !atomic_load(&process->died);
}

static size_t slot_of(uintptr_t pc)
{
    return pc * UINT64_C(0x9e3779b97f4a7c15) >> 40 & (BATON_WRITERS - 1);
}

static bool is_writer(uintptr_t pc)
{
    size_t slot = slot_of(pc);

    while (baton->writer[slot] && baton->writer[slot] != pc)
        slot = (slot + 1) & (BATON_WRITERS - 1);
    return baton->writer[slot] == pc;
}

static void add_writer(uintptr_t pc)
{
    size_t slot = slot_of(pc);

    while (baton->writer[slot] && baton->writer[slot] != pc)
        slot = (slot + 1) & (BATON_WRITERS - 1);
    baton->writer[slot] = pc;
}

/* Whether this is one of the first times that the process comes by this instruction. */
static bool is_early_turn(uintptr_t pc)
{
    size_t slot = slot_of(pc);

    while (turns[slot].pc && turns[slot].pc != pc)
        slot = (slot + 1) & (BATON_WRITERS - 1);
    turns[slot].pc = pc;
    if (++turns[slot].count == TURNS_MAX && !step_is_syscall(pc))
        step_forget_place(pc);
    return turns[slot].count <= TURNS_MAX;
}

static void pass(void)
{
    if (!baton_is_ready(!self))
        return;
    atomic_fetch_add(&baton->passed, 1);
    baton_give(!self);
    await_holder(self);
}

static void kill_other(void)
{
    if (atomic_load(&baton->process[!self].finished) || atomic_load(&baton->process[!self].died))
        return;
    atomic_store(&baton->killing, 1 + !self);
    baton_give(BATON_AGENT);
    await_holder(self);
}

static void kill_self(void)
{
    atomic_store(&baton->killing, 1 + self);
    kill(getpid(), SIGKILL);
}

static void act(uint64_t point)
{
    const struct baton_schedule *schedule = &baton->schedule;
    unsigned i = 0;

    while (i < schedule->count && schedule->at[i] != point)
        i++;
    if (i == schedule->count)
        return;
    baton->pc[i] = last_pc;
    if (i + 1 < schedule->count || schedule->end == BATON_PASS)
        pass();
    else if (schedule->end == BATON_KILL_HOLDER)
        kill_self();
    else
        kill_other();
}

/* The call may have slept, while the other went on: it is not this one's turn until it is given the baton. And it may
 * have woken the other, which counts as ready as soon as it is woken, not when it comes to say so. */
static void come_back(void)
{
    atomic_store(&baton->process[self].is_asleep, 0);
    if (atomic_load(&baton->holder) != self)
        await_holder(self);
    while (atomic_load(&baton->process[!self].is_asleep) && !watch_asleep(atomic_load(&baton->process[!self].pid)))
        sched_yield();
}

/* A point: before a writing instruction, or after it. */
static void visit(uintptr_t pc, unsigned what)
{
    uintptr_t before = last_pc;

    last_pc = pc;
    if (what & STEP_RETURNED)
        come_back();
    if (is_writer(pc) ? is_early_turn(pc) : is_writer(before))
        act(atomic_fetch_add(&baton->points, 1) + 1);
}

/* While it is found out which instructions write: each is visited. */
static void look(uintptr_t pc, unsigned what)
{
    if (what & STEP_WROTE && !(what & STEP_RETURNED))
        add_writer(last_pc);
    if (what & STEP_CALLS)
        add_writer(pc);
    visit(pc, what);
}

void baton_run_operation(unsigned who)
{
    const struct pair_case *test = baton->test;

    self = who;
    if (test->prepare[who])
        test->prepare[who]();
    baton_tell_agent();
    await_holder(who);
    if (baton->run == BATON_FIND_PAGES) {
        int r = step_learn(&baton->found[who], test->operation[who]);
        if (r < 0)
            crash_fail(CRASH_BROKEN, "which pages are written: %s", strerror(-r));
    } else if (baton->run == BATON_FIND_WRITERS) {
        step_visit(&baton->pages, look, test->operation[who]);
    } else {
        step_visit_places(baton->writer, BATON_WRITERS, visit, test->operation[who]);
    }
    atomic_store(&baton->process[who].is_asleep, 0);
    atomic_store(&baton->process[who].finished, 1);
    baton_tell_agent();
    await_holder(BATON_END);
    _exit(0);
}
