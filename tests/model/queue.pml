/* queue.pml - how a queue publishes messages, waits, and reclaims what the dead left (src/queue/{tail,head,wait}.c), for
 * spin: whoever dies, at whatever step, no block is leaked or freed twice, no message comes twice or torn, none is lost
 * but what a dead consumer was taking, and nobody sleeps where there is something for him.
 *
 * The word under each side is one step here, and its own model is word.pml. docs/design/queue-model.md says what else is
 * left out. */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef BOUND /* messages; 0: none */
#define BOUND 0
#endif
/* 1: consumers that were woken and have not acted yet are killed too, and nobody minds who sleeps then: that is the
 * backstop's. */
#ifndef DEATH_ANYWHERE
#define DEATH_ANYWHERE 0
#endif

#define PROCESSES (PRODUCERS + CONSUMERS)
#define UNDERTAKER PROCESSES /* buries the dead; is not killed: another would take its place */
#define MESSAGES PRODUCERS   /* each puts one, and its number is the producer's */
#define RINGS 3              /* ring 0 lies in the queue */
#define ROOM 1               /* records in a ring */
#define PART 99              /* an owner: some object */
#define NOBODY 0             /* process p is p + 1 */

/* struct sh_queue_shared; tail and head are counts. */
byte tail, head, tail_ring, head_ring;
byte put_before, put_block, put_ring; /* blocks and rings in intents are their number + 1 */
byte get_before, get_block, get_ring;

/* A ring: where it begins, the block in its record, and, where a lead stands at position lead_at - 1 instead, the ring
 * that it leads to. */
byte base[RINGS], record[RINGS], lead_at[RINGS], lead_to[RINGS], ring_owner[RINGS];

/* A block for each message, and what is in it: its message's number + 1. */
byte owner[MESSAGES], content[MESSAGES];

/* The two words: who holds them, whether a holder died. Who sleeps on the other side's word; who has been woken; whose
 * prepared sleep would begin, since that word has not been released since. */
byte tail_holder, head_holder;
bool tail_died, head_died;
bool asleep[PROCESSES], woken[PROCESSES], poised[PROCESSES];

/* What happened, for the judge. */
bool killed[PROCESSES], ended[PROCESSES], buried[PROCESSES], complete[MESSAGES];
byte got[MESSAGES], deaths;

/* Wake one that sleeps, of processes from first on. In an atomic step. */
inline wake_one(first, count)
{
    for (i : first .. first + count - 1) {
        if
        :: asleep[i] -> n++
        :: else
        fi
    }
    if
    :: n > 0 ->
        select(n : 1 .. n);
        for (i : first .. first + count - 1) {
            if
            :: asleep[i] ->
                n--;
                if
                :: n == 0 -> asleep[i] = false; woken[i] = true; break
                :: else
                fi
            :: else
            fi
        }
    :: else
    fi;
    n = 0;
    i = 0
}

/* The word is released, or its holder dies: who is about to sleep there looks again, one who sleeps is woken. */
inline release(first, count)
{
    for (i : first .. first + count - 1) {
        poised[i] = false
    }
    wake_one(first, count)
}

/* Recovery: what a dead producer was handing over. */
inline recover_tail()
{
    atomic {
        if
        :: put_ring && tail != put_before -> tail_ring = put_ring - 1
        :: put_ring && tail == put_before && ring_owner[put_ring - 1] == PART -> left_ring = put_ring
        :: else
        fi;
        if
        :: put_block && tail == put_before && owner[put_block - 1] == PART -> left_block = put_block
        :: else
        fi
    };
    if
    :: left_ring -> ring_owner[left_ring - 1] = me + 1
    :: else
    fi;
    if
    :: left_block -> owner[left_block - 1] = me + 1
    :: else
    fi;
    put_ring = 0;
    atomic { put_block = 0; put_before = 0 };
    if
    :: left_ring -> atomic { ring_owner[left_ring - 1] = NOBODY; left_ring = 0 }
    :: else
    fi;
    if
    :: left_block -> atomic { owner[left_block - 1] = NOBODY; left_block = 0 }
    :: else
    fi
}

inline free_left_ring()
{
    left_ring = 0;
    if
    :: get_ring && get_ring - 1 != head_ring && get_ring != 1 && ring_owner[get_ring - 1] == PART ->
        left_ring = get_ring;
        ring_owner[left_ring - 1] = me + 1
    :: else
    fi;
    get_ring = 0;
    if
    :: left_ring -> atomic { ring_owner[left_ring - 1] = NOBODY; left_ring = 0 }
    :: else
    fi
}

/* What a dead consumer was taking: lost with it, where it had committed. */
inline recover_head()
{
    left_block = 0;
    if
    :: get_block && head != get_before && owner[get_block - 1] == PART ->
        left_block = get_block;
        owner[left_block - 1] = me + 1
    :: else
    fi;
    atomic { get_block = 0; get_before = 0 };
    if
    :: left_block -> atomic { owner[left_block - 1] = NOBODY; left_block = 0 }
    :: else
    fi;
    free_left_ring()
}

inline lock_tail()
{
    atomic { tail_holder == 0 -> tail_holder = me + 1; mends = tail_died; tail_died = false };
    if
    :: mends -> recover_tail()
    :: else
    fi;
    mends = false
}

inline lock_head()
{
    atomic { head_holder == 0 -> head_holder = me + 1; mends = head_died; head_died = false };
    if
    :: mends -> recover_head()
    :: else
    fi;
    mends = false
}

inline unlock_tail()
{
    atomic { tail_holder = 0; release(PRODUCERS, CONSUMERS) }
}

inline unlock_head()
{
    atomic { head_holder = 0; release(0, PRODUCERS) }
}

/* One message, in a block. */
proctype producer(byte me)
{
    byte n, i, spare, ring, left_block, left_ring;
    bool mends, waited;
    {
        atomic { owner[me] = me + 1; content[me] = me + 1 };
again:  skip;
        lock_tail();
        if
        :: BOUND && tail - head >= BOUND ->
            unlock_tail();
            atomic { waited = true; poised[me] = true; mends = head_died };
            atomic {
                if
                :: tail - head >= BOUND && !mends && poised[me] -> asleep[me] = true
                :: else
                fi;
                poised[me] = false
            };
            !asleep[me];
            if
            :: mends -> lock_head(); unlock_head()
            :: else
            fi;
            goto again
        :: else
        fi;
        ring = tail_ring;
        if
        :: (head > base[ring] -> tail - head : tail - base[ring]) >= ROOM ->
            if
            :: spare == 0 ->
                unlock_tail();
                atomic {
                    for (i : 1 .. RINGS - 1) {
                        if
                        :: ring_owner[i] == NOBODY && spare == 0 -> spare = i; ring_owner[i] = me + 1
                        :: else
                        fi
                    };
                    i = 0;
                    assert(spare)
                };
                goto again
            :: else
            fi;
            put_before = tail;
            put_ring = spare + 1;
            ring_owner[spare] = PART;
            atomic { lead_at[ring] = tail + 1; lead_to[ring] = spare };
            base[spare] = tail;
            ring = spare
        :: else
        fi;
        put_before = tail;
        put_block = me + 1;
        owner[me] = PART;
        atomic {
            if
            :: lead_at[ring] == tail + 1 -> lead_at[ring] = 0
            :: else
            fi;
            record[ring] = me + 1
        };
        tail = tail + 1;
        if
        :: put_ring -> tail_ring = ring; put_ring = 0; spare = 0
        :: else
        fi;
        atomic { put_block = 0; put_before = 0 };
        unlock_tail();
        complete[me] = true;
        if
        :: spare -> ring_owner[spare] = NOBODY
        :: else
        fi;
        if
        :: BOUND && waited && tail - head < BOUND -> atomic { wake_one(0, PRODUCERS) }
        :: else
        fi;
        atomic { ended[me] = true; woken[me] = false; spare = 0; ring = 0; waited = false }
    } unless {
        atomic { killed[me]; spare = 0; ring = 0; left_block = 0; left_ring = 0; mends = false; waited = false }
    }
}

/* Takes one message. */
proctype consumer(byte me)
{
    byte n, i, block, left_block, left_ring;
    bool mends, waited;
    {
        skip;
again:  skip;
        lock_head();
        if
        :: head == tail ->
            unlock_head();
            atomic { waited = true; poised[me] = true; mends = tail_died };
            atomic {
                if
                :: head == tail && !mends && poised[me] -> asleep[me] = true
                :: else
                fi;
                poised[me] = false
            };
            !asleep[me];
            if
            :: mends -> lock_tail(); unlock_tail()
            :: else
            fi;
            goto again
        :: else
        fi;
        do
        :: lead_at[head_ring] == head + 1 ->
            get_ring = head_ring + 1;
            head_ring = lead_to[head_ring]
        :: else -> break
        od;
        get_before = head;
        block = record[head_ring];
        assert(block && owner[block - 1] == PART);
        get_block = block;
        head = head + 1;
        owner[block - 1] = me + 1;
        atomic { get_block = 0; get_before = 0 };
        if
        :: get_ring -> free_left_ring()
        :: else
        fi;
        unlock_head();
        if
        :: waited && head != tail -> atomic { wake_one(PRODUCERS, CONSUMERS) }
        :: else
        fi;
        woken[me] = false;
        atomic { got[content[block - 1] - 1]++; assert(got[content[block - 1] - 1] == 1) };
        atomic {
            assert(owner[block - 1] == me + 1);
            owner[block - 1] = NOBODY;
            ended[me] = true;
            block = 0;
            waited = false
        }
    } unless {
        atomic { killed[me]; block = 0; left_block = 0; left_ring = 0; mends = false; waited = false }
    }
}

/* What is the dead one's. */
inline free_all()
{
    atomic {
        for (i : 0 .. MESSAGES - 1) {
            if
            :: owner[i] == dead + 1 -> owner[i] = NOBODY
            :: else
            fi
        }
        for (i : 1 .. RINGS - 1) {
            if
            :: ring_owner[i] == dead + 1 -> ring_owner[i] = NOBODY
            :: else
            fi
        }
        i = 0
    }
}

/* sh_reclaim_dead: objects mend themselves, then the blocks go. */
proctype undertaker()
{
    byte n, i, me = UNDERTAKER, dead, left_block, left_ring, burials;
    bool mends;

    do
    :: atomic {
           deaths > burials ->
               for (i : 0 .. PROCESSES - 1) {
                   if
                   :: killed[i] && !buried[i] -> dead = i
                   :: else
                   fi
               }
               i = 0
       };
        if
        :: tail_died -> lock_tail(); unlock_tail()
        :: else
        fi;
        if
        :: head_died -> lock_head(); unlock_head()
        :: else
        fi;
        free_all();
        atomic { buried[dead] = true; burials++; dead = 0 }
    od
}

/* The kernel marks the word that the dead one held, and wakes one who sleeps there. */
proctype killer()
{
    byte n, i, victim;

    do
    :: deaths < DEATHS ->
        atomic {
            select(victim : 0 .. PROCESSES - 1);
            if
            :: !killed[victim] && !ended[victim] && (DEATH_ANYWHERE || !woken[victim]) ->
                killed[victim] = true;
                asleep[victim] = false;
                woken[victim] = false;
                deaths++;
                if
                :: tail_holder == victim + 1 ->
                    tail_holder = 0;
                    tail_died = true;
                    release(PRODUCERS, CONSUMERS)
                :: head_holder == victim + 1 ->
                    head_holder = 0;
                    head_died = true;
                    release(0, PRODUCERS)
                :: else
                fi
            :: else
            fi;
            victim = 0
        }
    :: break
    od
}

/* Where nobody can do anything any more. */
proctype judge()
{
    byte i, at, ring, lost, dead_consumers;
    bool queued[MESSAGES], chained[RINGS];

    timeout -> d_step {
        assert(tail_holder == 0 && head_holder == 0);
        assert(!put_block && !put_ring && !get_block && !get_ring);
        /* What lies in the queue. */
        ring = head_ring;
        at = head;
        chained[0] = true;
        chained[ring] = true;
        do
        :: at < tail && lead_at[ring] == at + 1 -> ring = lead_to[ring]; chained[ring] = true
        :: at < tail && lead_at[ring] != at + 1 ->
            assert(record[ring] && !queued[record[ring] - 1]);
            queued[record[ring] - 1] = true;
            at++
        :: else -> break
        od;
        assert(ring == tail_ring);
        for (i : 0 .. MESSAGES - 1) {
            assert(owner[i] == (queued[i] -> PART : (asleep[i] -> i + 1 : NOBODY)));
            assert(!queued[i] || content[i] == i + 1);
            assert(!(queued[i] && got[i]));
            if
            :: complete[i] && !got[i] && !queued[i] -> lost++
            :: else
            fi
        }
        for (i : PRODUCERS .. PROCESSES - 1) {
            if
            :: killed[i] -> dead_consumers++
            :: else
            fi
        }
        assert(lost <= dead_consumers);
        for (i : 0 .. RINGS - 1) {
            at = ring_owner[i];
            assert(at == (chained[i] -> PART : NOBODY) || (at <= PRODUCERS && asleep[at - 1]))
        }
        for (i : 0 .. PROCESSES - 1) {
            assert(ended[i] || killed[i] || asleep[i]);
            assert(DEATH_ANYWHERE || !asleep[i] || (i < PRODUCERS -> tail - head >= BOUND : head == tail))
        }
    }
}

init
{
    byte i;

    atomic {
        ring_owner[0] = PART;
        for (i : 0 .. PROCESSES - 1) {
            if
            :: i < PRODUCERS -> run producer(i)
            :: else -> run consumer(i)
            fi
        }
        run undertaker();
        run killer();
        run judge()
    }
}
