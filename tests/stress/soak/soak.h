/* soak.h - the soak: what its processes share outside of the arena, so that it outlives them and can be judged.
 *
 * Actors, forked by the controller, and guests, started by actors through the library, do random operations on the same
 * objects. Each sits at a desk, which it alone writes; when it dies the desk says what it was about. Everything that
 * counts is written with one store, before or after the call of the library that it is about, so that a kill leaves it
 * whole: a message is tried, then put or refused; what a death may lose is noted before a get and wiped out after it.
 */
#ifndef STRESS_SOAK_H
#define STRESS_SOAK_H

#include "harness.h"

#include <shoal/shoal.h>

enum { ACTORS = 8, GUESTS = 120, DESKS = ACTORS + GUESTS, MOST_MESSAGES = 1 << 17 };
enum { QUEUES = 3, LOCKS = 4, MOST_PLACES = 3 };
enum { MOST_AT_ONCE = 6 }; /* messages of one call */

enum operation {
    OP_NONE,
    OP_PUT,
    OP_PUT_MANY,
    OP_SEND,
    OP_GET,
    OP_GET_MANY,
    OP_RECEIVE,
    OP_LETTER,
    OP_LOCK,
    OP_PERMIT,
    OP_SIGNAL,
    OP_CONDITION,
    OP_EVENT,
    OP_BARRIER,
    OP_PIPE,
    OP_POOL,
    OP_PROCESS,
    OP_COUNT,
};

/* What became of a message, for its producer: the queue that it was put into, plus FIRST_QUEUE. */
enum { MESSAGE_TRIED, MESSAGE_REFUSED, FIRST_QUEUE };

struct desk {
    _Atomic int pid; /* of who sits here; guests' are 0 until they begin */
    _Atomic uint32_t operation;
    _Atomic uint32_t doubt;    /* a signal whose release (1) or taking (2) has begun and not ended */
    _Atomic int stopped;       /* pid of a worker, to be continued should its stopper die */
    _Atomic uint64_t may_lose; /* queue << 32 | how many messages are lost with a death here and now */
    _Atomic uint64_t done[OP_COUNT];
    _Atomic uint64_t tried;           /* number of the last message */
    _Atomic uint64_t released, taken; /* signals */
    _Atomic uint64_t told;            /* that a lock's owner died */
    _Atomic uint64_t tasks, tasks_lost, tasks_cancelled, tasks_left, keepers;
    _Atomic unsigned char put[MOST_MESSAGES];
};

/* Where those are who hold a lock or a permit: their pids. And what a lock protects: two numbers that are equal. */
struct room {
    _Atomic int place[MOST_PLACES];
    _Atomic uint64_t first, second;
};

struct ledger {
    struct desk desk[DESKS];
    _Atomic unsigned char got[DESKS][MOST_MESSAGES];
    struct room locks[LOCKS], permits;
    _Atomic int is_over;
    _Atomic int next_guest;
};

/* What all do things with. The last lock is the condition's, the second last a recursive one. */
struct stage {
    shoal_queue *queue[QUEUES]; /* whose messages the ledger has */
    shoal_queue *letters;
    shoal_lock *lock[LOCKS];
    shoal_semaphore *permits; /* owned, MOST_PLACES of them */
    shoal_semaphore *signals; /* plain */
    shoal_condition *condition;
    shoal_event *event, *over;
    shoal_barrier *barrier;
};

extern struct ledger *ledger;
extern struct stage stage;

/* actor.c: play at this desk until all is over, or for so many operations. */
void act(struct desk *desk, uint64_t seed, uint64_t operations);

/* A number below bound from the actor's own random numbers. */
uint64_t draw(uint64_t bound);
/* Some milliseconds, for a timeout. */
int64_t a_while(void);
extern struct desk *own_desk; /* NULL in a pool's worker */
void play_lock(void);

/* message.c: putting and getting, with the ledger's entries. */
void play_put(void);
void play_put_many(void);
void play_send(void);
void play_get(void);
void play_get_many(void);
void play_receive(void);
void play_letter(void);
/* Take all that is left in a queue; returns how many. */
uint64_t drain(int queue);

/* family.c: pools and processes. */
void play_pool(void);
void play_process(void);

#endif
