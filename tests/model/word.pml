/* word.pml - the robust word as the producers and consumers of a queue use it (src/os/word.c, src/queue/wait.c), for
 * spin: whoever dies, at whatever step, nobody sleeps where there is something for him to do and nobody else about to.
 *
 * DEATHS processes are killed. The backstop is left out: what this finds stuck would be 100 ms late in the library.
 * docs/design/word-model.md says what else is left out, and which death is the backstop's. */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
/* Nobody is killed who has prepared to sleep and neither sleeps nor turns back yet, and no consumer who is awake and not
 * in the word. With 1 here they are too: then those deaths are found that are left to the backstop. */
#ifndef DEATH_ANYWHERE
#define DEATH_ANYWHERE 0
#endif
#define PROCESSES (PRODUCERS + CONSUMERS)

/* struct sh_word: owner is a process's number plus 1. hints goes up with every note: it tells a hint from a later one. */
byte owner;
bool waiters, died;
bool hint_lock, hint_data;
byte hints;

/* The kernel's: who sleeps on the word and in which class, and what is announced. */
bool asleep[PROCESSES], in_data[PROCESSES], announced[PROCESSES];
bool slept[PROCESSES], poised[PROCESSES]; /* has slept since it prepared; is between the two */

/* The queue: messages committed and taken. */
byte tail, head;

bool killed[PROCESSES], ended[PROCESSES];
byte deaths;

#define IS(who, lock, data) (asleep[who] && ((in_data[who] && (data)) || (!in_data[who] && (lock))))

/* FUTEX_WAKE of one, any of those there are: the kernel goes by age, the model by chance. In an atomic step. */
inline wake_one(lock, data, ret_woken)
{
    n = 0;
    for (i : 0 .. PROCESSES - 1) {
        if
        :: IS(i, lock, data) -> n++
        :: else
        fi
    }
    ret_woken = n > 0;
    if
    :: n > 0 ->
        select(n : 1 .. n);
        for (i : 0 .. PROCESSES - 1) {
            if
            :: IS(i, lock, data) ->
                n--;
                if
                :: n == 0 -> asleep[i] = false; break
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

/* note_sleepers, wake, forget_sleepers. */
inline wake_sleepers(lock, data)
{
    atomic {
        hint_lock = hint_lock || lock;
        hint_data = hint_data || data;
        hints = (hints + 1) % 8;
        noted = hints
    };
    woke_lock = true;
    woke_data = true;
    if
    :: lock -> atomic { wake_one(true, false, woke_lock) }
    :: else
    fi;
    if
    :: data -> atomic { wake_one(false, true, woke_data) }
    :: else
    fi;
    atomic {
        if
        :: hints == noted && (!woke_lock || !woke_data) ->
            hint_lock = hint_lock && woke_lock;
            hint_data = hint_data && woke_data
        :: else
        fi;
        noted = 0;
        woke_lock = false;
        woke_data = false
    }
}

/* sh_word_prepare: what it saw is in seen_owner and seen_died, WAITERS being set. */
inline prepare(data)
{
    atomic { announced[me] = true; slept[me] = false };
    atomic {
        if
        :: data -> hint_data = true
        :: else -> hint_lock = true
        fi;
        hints = (hints + 1) % 8
    };
    atomic {
        waiters = true;
        poised[me] = true;
        seen_owner = owner;
        seen_died = died
    }
}

/* FUTEX_WAIT on what prepare saw, then until woken. */
inline sleep(data)
{
    atomic {
        if
        :: owner == seen_owner && died == seen_died && waiters ->
            in_data[me] = data;
            asleep[me] = true;
            slept[me] = true
        :: else
        fi;
        poised[me] = false
    };
    !asleep[me]
}

/* sh_word_lock. */
inline take_word()
{
    announced[me] = true;
    hinted = hint_lock || hint_data;
    atomic {
        got = owner == 0 && !waiters && !died;
        if
        :: got -> owner = me + 1; waiters = hinted
        :: else
        fi
    };
    do
    :: got -> break
    :: else ->
        prepare(false);
        if
        :: seen_owner != 0 -> sleep(false)
        :: else ->
            atomic {
                if
                :: owner == 0 && waiters && died == seen_died -> owner = me + 1; died = false; got = true
                :: else
                fi;
                poised[me] = false
            }
        fi
    od;
    atomic { got = false; hinted = false; seen_owner = 0; seen_died = false }
}

/* sh_word_unlock. */
inline release_word()
{
    atomic { hinted = waiters; owner = 0; waiters = false };
    if
    :: hinted || hint_lock || hint_data -> wake_sleepers(true, true)
    :: else
    fi;
    atomic { announced[me] = false; hinted = false }
}

proctype producer(byte me)
{
    byte n, i, noted, seen_owner;
    bool got, hinted, seen_died, woke_lock, woke_data;
    {
        take_word();
        tail++;
        release_word();
        ended[me] = true
    } unless { killed[me] }
}

proctype consumer(byte me)
{
    byte n, i, noted, seen_owner;
    bool got, hinted, seen_died, woke_lock, woke_data, among;
    {
        do
        :: atomic { head < tail -> head++ }; break /* under the head word: one step here */
        :: head == tail ->
            prepare(true);
            among = true;
            if
            :: head < tail || seen_died -> skip
            :: else -> sleep(true)
            fi;
            atomic { announced[me] = false; slept[me] = false; poised[me] = false };
            if
            :: seen_died -> take_word(); release_word()
            :: else
            fi;
            atomic { seen_owner = 0; seen_died = false }
        od;
        if
        :: among && head < tail && (hint_data || waiters) -> wake_sleepers(false, true)
        :: else
        fi;
        ended[me] = true
    } unless { killed[me] }
}

/* The kernel, when a process dies: the robust list's pending operation. */
inline kill_process(who)
{
    killed[who] = true;
    asleep[who] = false;
    deaths++;
    if
    :: announced[who] && owner == who + 1 ->
        owner = 0;
        died = true;
        if
        :: waiters -> wake_one(true, true, woken)
        :: else
        fi
    :: announced[who] && owner == 0 -> wake_one(true, true, woken)
    :: else
    fi
}

proctype killer()
{
    byte n, i, victim;
    bool woken;

    do
    :: deaths < DEATHS ->
        atomic {
            select(victim : 0 .. PROCESSES - 1);
            if
            :: !killed[victim] && !ended[victim] &&
               (DEATH_ANYWHERE || (!poised[victim] && (victim < PRODUCERS || slept[victim]))) ->
                kill_process(victim)
            :: else
            fi;
            victim = 0;
            woken = false
        }
    :: break
    od
}

/* Where nobody can do anything any more: whoever sleeps does so because there is nothing for him. */
proctype judge()
{
    byte i;

    timeout -> d_step {
        for (i : 0 .. PROCESSES - 1) {
            assert(!asleep[i] || in_data[i]);
            assert(!asleep[i] || head == tail)
        }
        assert(owner == 0)
    }
}

init
{
    byte i;

    atomic {
        for (i : 0 .. PROCESSES - 1) {
            if
            :: i < PRODUCERS -> run producer(i)
            :: else -> run consumer(i)
            fi
        }
        run killer();
        run judge()
    }
}
