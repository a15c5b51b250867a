/* event.c - death at an event: setting it, clearing it, waiting for it. */
#include "whole.h"

#include <errno.h>
#include <shoal/event.h>

static shoal_event *event;

static void setup(void)
{
    whole_open();
    whole_note();
    CRASH_EQ(CRASH_BROKEN, shoal_event_open(&event), 0);
}

static void setup_set(void)
{
    setup();
    CRASH_EQ(CRASH_BROKEN, shoal_event_set(event), 0);
}

static void prepare(void)
{
    CRASH_UNLESS(CRASH_BROKEN, shoal_event_is_set(event) >= 0); /* from here on the handle is this process's */
}

static void set(void)
{
    shoal_event_set(event);
}

static void set_and_clear(void)
{
    shoal_event_set(event);
    shoal_event_clear(event);
}

static void clear(void)
{
    shoal_event_clear(event);
}

static void wait(void)
{
    shoal_event_wait(event, SHOAL_FOREVER);
}

static void wait_in_time(void)
{
    shoal_event_wait(event, SHOAL_MILLISECONDS(1));
}

static void feed_set(unsigned nth)
{
    if (nth == 1)
        CRASH_RETURNS(shoal_event_set(event), 0);
}

static void feed_nothing(unsigned nth)
{
    (void)nth;
}

static void sleep_for_event(unsigned index)
{
    (void)index;
    CRASH_RETURNS(shoal_event_wait(event, SHOAL_FOREVER), 0);
}

static int due(unsigned index)
{
    (void)index;
    return shoal_event_is_set(event);
}

static void rouse(void)
{
    CRASH_RETURNS(shoal_event_set(event), 0);
}

static void check(void)
{
    for (int round = 0; round < 2; round++) {
        CRASH_RETURNS(shoal_event_set(event), 0);
        CRASH_RETURNS(shoal_event_is_set(event), 1);
        CRASH_RETURNS(shoal_event_wait(event, WHOLE_LIMIT), 0);
        CRASH_RETURNS(shoal_event_clear(event), 0);
        CRASH_RETURNS(shoal_event_is_set(event), 0);
        CRASH_RETURNS(shoal_event_wait(event, 0), -EAGAIN);
    }
    shoal_event_free(event);
    whole_check();
}

#define WAITS .sleep = sleep_for_event, .due = due, .rouse = rouse

static const struct crash_case cases[] = {
    {"set", .setup = setup, .prepare = prepare, .operation = set, .check = check},
    {"set, one waits", .sleepers = 1, WAITS, .setup = setup, .prepare = prepare, .operation = set, .check = check},
    {"set, three wait", .sleepers = 3, WAITS, .setup = setup, .prepare = prepare, .operation = set, .check = check},
    {"set and clear, two wait", .sleepers = 2, WAITS, .setup = setup, .prepare = prepare, .operation = set_and_clear,
     .check = check},
    {"clear", .setup = setup_set, .prepare = prepare, .operation = clear, .check = check},
    {"wait, set", .setup = setup_set, .prepare = prepare, .operation = wait, .check = check},
    {"wait", .setup = setup, .prepare = prepare, .operation = wait, .feed = feed_set, .check = check},
    {"wait, two others wait", .sleepers = 2, WAITS, .setup = setup, .prepare = prepare, .operation = wait,
     .feed = feed_set, .check = check},
    {"wait, in time, another waits", .sleepers = 1, WAITS, .setup = setup, .prepare = prepare,
     .operation = wait_in_time, .feed = feed_nothing, .check = check},
};

int main(int argc, char **argv)
{
    return crash_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
