/* help.c - small things that many tests need: children, time, random numbers. */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* gcc defines a macro for each sanitizer, clang has them as features. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#else
#define ADDRESS_SANITIZER 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#else
#define THREAD_SANITIZER 0
#endif

bool test_under_asan(void)
{
    return ADDRESS_SANITIZER;
}

bool test_under_tsan(void)
{
    return THREAD_SANITIZER;
}

pid_t test_fork(const char *file, int line)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        test_fail(file, line, "fork: %s", strerror(errno));
    return pid;
}

void test_exit(int code)
{
    fflush(NULL);
    _exit(code);
}

int64_t test_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t test_time(double seconds)
{
    const char *scale = getenv("TEST_TIME_SCALE");

    return (int64_t)(seconds * 1e9 * (scale ? atof(scale) : ADDRESS_SANITIZER || THREAD_SANITIZER ? 4 : 1));
}

void test_nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

void test_read_line(char *buffer, size_t capacity, const char *format, ...)
{
    char path[200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    buffer[0] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (!fgets(buffer, (int)capacity, file))
        buffer[0] = '\0';
    buffer[strcspn(buffer, "\n")] = '\0';
    fclose(file);
}

/* The state letter of a process or thread; 0 where there is none. */
static char state_of(pid_t tid)
{
    char line[512];

    test_read_line(line, sizeof line, "/proc/%d/stat", (int)tid);
    const char *end = strrchr(line, ')'); /* the name before it may have blanks and brackets in it */
    return end && end[1] == ' ' ? end[2] : '\0';
}

void test_await_asleep(pid_t tid)
{
    AWAIT(state_of(tid) == 'S');
}

bool test_is_alive(pid_t pid)
{
    char state = state_of(pid);

    return state != '\0' && state != 'Z' && state != 'X';
}

uint64_t test_seed(void)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)test_now() * 0x9e3779b97f4a7c15u >> 16;

    test_report->seed = seed;
    return seed;
}

/* splitmix64: every state is a good one. */
uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t test_random_below(uint64_t *state, uint64_t bound)
{
    return test_random(state) % bound;
}
