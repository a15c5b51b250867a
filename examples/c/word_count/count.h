/* count.h - what word_count's workers do: read one file, compressed or not, and count. */
#ifndef COUNT_H
#define COUNT_H

#include <shoal/shoal.h>
#include <stdint.h>

/* The result of one file. */
struct count {
    uint64_t bytes; /* decompressed */
    uint64_t lines;
    uint64_t words; /* runs of anything but blanks */
    int is_text;    /* 0: it has a zero byte near its beginning and was not read further */
};

/* The task: its item is the path of a file, with its final zero byte; its result is a struct count. */
int count_file(shoal_task *task);

#endif
