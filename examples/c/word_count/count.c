/* count.c - what word_count's workers do: read one file, compressed or not, and count. */
#include "count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    BUFFER_SIZE = 256 * 1024,
    HEAD_SIZE = 8192, /* a file with a zero byte in its first bytes is taken for binary */
};

static volatile int *volatile nowhere; /* compilers and analyzers cannot see that it stays NULL */

/* Two inputs that are fatal for whoever reads them. They stand for the bug that every large program has for one input
 * in a million, so that the demo can show what becomes of the others. */
static void be_unlucky(const char *data, size_t size)
{
    static const char segfault[] = "word_count: segfault", quit[] = "word_count: exit";

    if (size >= sizeof segfault - 1 && memcmp(data, segfault, sizeof segfault - 1) == 0)
        *nowhere = 0;
    if (size >= sizeof quit - 1 && memcmp(data, quit, sizeof quit - 1) == 0)
        exit(7);
}

/* wc's blanks: space, tab, newline, vertical tab, form feed, return. */
static int is_blank(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Count size more bytes; *in_word goes from one call to the next. */
static void count_bytes(struct count *count, const unsigned char *data, size_t size, int *in_word)
{
    for (size_t i = 0; i < size; i++) {
        int blank = is_blank(data[i]);
        count->lines += data[i] == '\n';
        count->words += !blank && !*in_word;
        *in_word = !blank;
    }
    count->bytes += size;
}

/* Count a whole file: 0, or a negative errno. gzread takes what is not compressed as it is. */
static int count_stream(gzFile file, unsigned char *buffer, struct count *count)
{
    int in_word = 0, size;

    while ((size = gzread(file, buffer, BUFFER_SIZE)) > 0) {
        if (count->bytes == 0) {
            be_unlucky((char *)buffer, (size_t)size);
            count->is_text = memchr(buffer, 0, size < HEAD_SIZE ? (size_t)size : HEAD_SIZE) == NULL;
            if (!count->is_text)
                return 0;
        }
        count_bytes(count, buffer, (size_t)size, &in_word);
    }
    return size < 0 ? -EIO : 0;
}

int count_file(shoal_task *task)
{
    struct count count = {.is_text = 1};
    struct shoal_bytes path;
    int r = shoal_task_data(task, &path);
    if (r < 0)
        return r;

    unsigned char *buffer = malloc(BUFFER_SIZE);
    if (buffer == NULL)
        return -ENOMEM;
    gzFile file = gzopen(path.data, "re");
    if (file == NULL) {
        free(buffer);
        return shoal_task_fail(task, -errno, "cannot be opened: %s", strerror(errno));
    }
    gzbuffer(file, BUFFER_SIZE);
    r = count_stream(file, buffer, &count);
    if (r < 0)
        r = shoal_task_fail(task, r, "cannot be read: %s", gzerror(file, &(int){0}));
    if (gzclose(file) == Z_BUF_ERROR && r == 0)
        r = shoal_task_fail(task, -EIO, "cannot be read: it ends too early");
    free(buffer);
    return r < 0 ? r : shoal_task_return(task, &count, sizeof count);
}
