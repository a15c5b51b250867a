/* base.h - what all headers of shoal share: export mark, timeouts, option structs, error texts. */
#ifndef SHOAL_BASE_H
#define SHOAL_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SHOAL_BEGIN extern "C" {
#define SHOAL_END }
#else
#define SHOAL_BEGIN
#define SHOAL_END
#endif

#define SHOAL_API __attribute__((visibility("default")))

/* Timeout in nanoseconds that never passes. */
#define SHOAL_FOREVER INT64_MAX

/* Timeouts for people: SHOAL_SECONDS(2), SHOAL_MILLISECONDS(50). */
#define SHOAL_SECONDS(n) ((int64_t)(n)*1000000000)
#define SHOAL_MILLISECONDS(n) ((int64_t)(n)*1000000)

/* First member of every option struct, so that a program and a library of different age understand each other:
 *     struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .max_items = 10};
 * Members that are left out are zero, and zero is always the default. A NULL option pointer means all defaults. */
#define SHOAL_OPTIONS(noun) sizeof(struct noun##_options)

/* Positive return of a call that took a lock, permit or turn: it succeeded, and whoever held it before died
 * holding it, so what it protects may be half changed. */
#define SHOAL_OWNER_DIED 1

/* Bytes somewhere in this process's memory: size bytes at data (data may be NULL where size is 0). */
struct shoal_bytes {
    const void *data;
    size_t size;
};

SHOAL_BEGIN

/* The library's version as "major.minor.patch". */
SHOAL_API const char *shoal_version(void);

/* What a (negative) return of this library means, in a sentence: a static string, never NULL. */
SHOAL_API const char *shoal_strerror(int error);

SHOAL_END

#endif
