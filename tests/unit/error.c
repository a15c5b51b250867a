/* error.c - tests of the table of error texts. */
#include "base/error.h"

#include "harness.h"

#include <limits.h>
#include <stdio.h>

/* Every code that a public header names. */
static const int named[] = {
    EAGAIN,  EBADF,  EBUSY,  ECANCELED, ECHILD,    EDEADLK, EEXIST, EINVAL, EMSGSIZE,  ENOENT,
    ENOEXEC, ENOMEM, ENOSPC, ENOTSUP,   EOVERFLOW, EPERM,   EPIPE,  ESTALE, ETIMEDOUT, EXDEV,
};

TEST(each_code_of_the_headers_has_a_sentence_of_its_own)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        const char *text = shoal_strerror(-named[i]);
        CHECK(strcmp(text, shoal_strerror(-4095)) != 0);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(text, shoal_strerror(-named[j])) != 0);
    }
}

TEST(each_code_has_a_python_exception)
{
    for (int error = 1; error < 200; error++) {
        CHECK(sh_error_find(-error)->exception != NULL);
        CHECK_GT(strlen(sh_error_find(-error)->exception), 4);
    }
    CHECK_STR_EQ(sh_error_find(-ENOMEM)->exception, "MemoryError");
    CHECK_STR_EQ(sh_error_find(-EXDEV)->exception, "RuntimeError");
}

TEST(numbers_that_are_no_errors_have_texts_too)
{
    CHECK_STR_EQ(shoal_strerror(0), "success");
    CHECK_STR_EQ(shoal_strerror(17), "success");
    CHECK(strstr(shoal_strerror(SHOAL_OWNER_DIED), "died"));
    CHECK_STR_EQ(shoal_strerror(-4095), shoal_strerror(INT_MIN));
    CHECK_STR_EQ(shoal_strerror(-4095), shoal_strerror(INT_MIN + 1));
}

TEST(the_version_is_three_numbers)
{
    int major, minor, patch, end = 0;

    CHECK_EQ(sscanf(shoal_version(), "%d.%d.%d%n", &major, &minor, &patch, &end), 3);
    CHECK_EQ(shoal_version()[end], '\0');
}
