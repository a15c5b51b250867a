/* word_count.c - count the words of all files below some folders, on all CPUs: `wc` for a whole tree, .gz included.
 *
 *     word_count [-w WORKERS] [-r REPORT] FOLDER...
 *
 * The report has a line for each text file: bytes, lines, words and path, with tabs between. A file that kills the
 * worker that reads it costs that file and no other. */
#include "count.h"
#include "paths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What came of all files. */
struct totals {
    uint64_t files, bytes, lines, words; /* of the text files */
    uint64_t binary, failed, lost;       /* of the others: not text; could not be read; cost a worker its life */
};

static int complain(const char *what, long error)
{
    fprintf(stderr, "word_count: %s: %s\n", what, shoal_strerror((int)error));
    return 1;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Show how far it is: on a terminal in one line that changes, elsewhere a line at every quarter. */
static void show_progress(uint64_t done, uint64_t count, unsigned *quarter)
{
    unsigned reached = (unsigned)(4 * done / count);

    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " files%s", done, count, done == count ? "\n" : "");
    else if (reached > *quarter)
        fprintf(stderr, "%3u %%  %" PRIu64 " of %" PRIu64 " files\n", 25 * reached, done, count);
    *quarter = reached;
}

/* Wait until all files are done, and show the progress meanwhile. */
static int await(shoal_future *future)
{
    uint64_t done, count;
    unsigned quarter = 0;
    int r;

    do {
        r = shoal_future_wait(future, SHOAL_MILLISECONDS(100));
        if (shoal_future_progress(future, &done, &count) == 0 && count > 0)
            show_progress(done, count, &quarter);
    } while (r == -ETIMEDOUT);
    return r;
}

/* Enter one file's result into the totals and the report. */
static void collect(shoal_future *future, size_t item, const char *path, struct totals *totals, FILE *report)
{
    struct shoal_task_error error;
    struct count count;

    if (shoal_future_get(future, item, &count, sizeof count, SHOAL_FOREVER) < 0) {
        if (shoal_future_error(future, item, &error) < 0)
            return;
        totals->lost += error.error == -ECHILD;
        totals->failed += error.error != -ECHILD;
        printf("%s  %s: %s\n", error.error == -ECHILD ? "lost    " : "failed  ", path, error.message);
        return;
    }
    if (!count.is_text) {
        totals->binary++;
        return;
    }
    totals->files++;
    totals->bytes += count.bytes;
    totals->lines += count.lines;
    totals->words += count.words;
    if (report != NULL)
        fprintf(report, "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\n", count.bytes, count.lines, count.words, path);
}

static void show_totals(const struct totals *totals, int workers, double seconds)
{
    printf("workers   %d\n", workers);
    printf("files     %" PRIu64 "\n", totals->files);
    printf("bytes     %" PRIu64 "\n", totals->bytes);
    printf("lines     %" PRIu64 "\n", totals->lines);
    printf("words     %" PRIu64 "\n", totals->words);
    printf("no text   %" PRIu64 "\n", totals->binary);
    printf("unread    %" PRIu64 "\n", totals->failed);
    printf("victims   %" PRIu64 "\n", totals->lost);
    printf("seconds   %.3f\n", seconds);
}

/* The job itself: all files through a pool. Returns the exit code. */
static int count_all(const struct paths *paths, unsigned workers, FILE *report)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = workers};
    /* Files are of very different sizes: workers take them one by one. */
    struct shoal_task_options task = {SHOAL_OPTIONS(shoal_task), .chunk = 1};
    struct totals totals = {0};
    shoal_pool *pool;
    shoal_future *future;
    double start = now();

    int r = shoal_pool_open(&options, &pool);
    if (r < 0)
        return complain("cannot start the pool", r);
    r = shoal_pool_submit_items(pool, &task, count_file, paths->items, paths->count, &future);
    if (r < 0) {
        shoal_pool_free(pool);
        return complain("cannot submit the files", r);
    }
    r = await(future);
    double seconds = now() - start;

    for (size_t i = 0; r == 0 && i < paths->count; i++)
        collect(future, i, paths_at(paths, i), &totals, report);
    shoal_future_free(future);
    shoal_pool_free(pool);
    if (r < 0)
        return complain("cannot wait for the results", r);
    show_totals(&totals, workers ? (int)workers : shoal_cpu_count(), seconds);
    return totals.lost + totals.failed > 0 ? 2 : 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: word_count [-w WORKERS] [-r REPORT] FOLDER...\n");
    return 1;
}

int main(int argc, char **argv)
{
    const char *report_name = NULL;
    struct paths paths = {0};
    FILE *report = NULL;
    unsigned workers = 0;
    int option, r;

    while ((option = getopt(argc, argv, "w:r:")) != -1) {
        if (option == 'w')
            workers = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            report_name = optarg;
        else
            return usage();
    }
    if (optind == argc)
        return usage();
    for (; optind < argc; optind++) {
        r = paths_add(&paths, argv[optind]);
        if (r < 0)
            return complain(argv[optind], r);
    }
    paths_sort(&paths);

    if (report_name != NULL && (report = fopen(report_name, "we")) == NULL)
        return complain(report_name, -errno);
    r = count_all(&paths, workers, report);
    if (report != NULL && fclose(report) != 0)
        r = complain(report_name, -errno);
    paths_free(&paths);
    return r;
}
