/* internal.h - what the parts of the harness know of each other. */
#ifndef HARNESS_INTERNAL_H
#define HARNESS_INTERNAL_H

#include "harness.h"

/* What the processes of a test tell the harness, in memory that they share. */
struct test_report {
    _Atomic int failed;    /* a check failed, or something was left behind */
    _Atomic int skipped;   /* the test left itself out, for this reason: */
    _Atomic int finished;  /* the test's function returned */
    _Atomic uint64_t seed; /* what test_seed gave out; 0: nothing */
    char reason[200];
};
extern struct test_report *test_report;

/* The process in which the test's function runs. */
extern pid_t test_main_pid;

/* Note a failure without ending the process. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of a file under /proc, without its newline: "" where it cannot be read. */
void test_read_line(char *buffer, size_t capacity, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What a process holds: taken before a test and compared after it, in the test's process. */
struct test_holdings;
struct test_holdings *test_holdings_new(void);
void test_holdings_free(struct test_holdings *holdings);
void test_holdings_compare(const struct test_holdings *before);
void test_check_children(void);

/* What a test left outside its process, looked at by the harness. */
struct test_names;
struct test_names *test_names_new(void);
void test_names_free(struct test_names *names);
void test_names_compare(const struct test_names *before);
/* Wait up to a second for the orphans that the test's process left; kill those that stay. */
void test_reap_orphans(void);
/* Kill all descendants of this process. */
void test_kill_descendants(void);
/* Say what the descendants of this process are doing. */
void test_describe_descendants(void);

#endif
