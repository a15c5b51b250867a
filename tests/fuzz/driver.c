/* driver.c - runs a target where there is no libFuzzer: the inputs of the corpus, then others made of them at random.
 *
 *     fuzz-queue FOLDER       runs the inputs in it, then others for FUZZ_SECONDS (2), from FUZZ_SEED (by the clock)
 *     fuzz-queue FILE         runs this input alone
 *
 * An input that crashes or takes ten seconds is left in the file that FUZZ_CRASH names, or the seed that is printed
 * leads to it again. */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 600, KEPT = 64, INPUT_SECONDS = 10 };

static struct {
    uint8_t data[LARGEST];
    size_t size;
} corpus[KEPT], input;
static unsigned corpus_count;
static unsigned long long seed, runs;

static void say(int signal)
{
    static char text[200];
    int size = snprintf(text, sizeof text, "# %s at run %llu, FUZZ_SEED=%llu\nnot ok 1 - %s\n",
                        signal == SIGALRM ? "an endless loop" : "a crash", runs, seed, "arbitrary bytes are refused");
    const char *path = getenv("FUZZ_CRASH");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

    if (fd >= 0 && write(fd, input.data, input.size) < 0)
        perror(path);
    if (write(1, text, (size_t)size) < 0)
        _exit(2);
    if (signal == SIGALRM)
        _exit(1);
}

/* AddressSanitizer has handlers of its own, and says more; handles are kept to the end. */
void __asan_set_death_callback(void (*callback)(void)) __attribute__((weak));
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void say_crash(void)
{
    say(0);
}

static void watch_for_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
    struct sigaction action = {.sa_handler = say, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGALRM, &action, NULL);
    if (__asan_set_death_callback)
        __asan_set_death_callback(say_crash);
    for (unsigned i = 0; !__asan_set_death_callback && i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void run_input(void)
{
    runs++;
    alarm(INPUT_SECONDS);
    LLVMFuzzerTestOneInput(input.data, input.size);
    alarm(0);
}

/* A patch that is likely to hurt. */
static void make_patch(uint8_t *to)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      7,
                                      8,
                                      63,
                                      64,
                                      255,
                                      512,
                                      4095,
                                      65536,
                                      131072,
                                      INT32_MAX,
                                      UINT32_MAX,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 40,
                                      INT64_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX - 7,
                                      0x80000001,
                                      0x80000002};
    struct fuzz_patch patch = {
        .region = (uint8_t)next_random(), .width = (uint8_t)next_random(), .offset = (uint16_t)next_random()};
    uint64_t value = next_random();

    if (value % 4 == 0)
        value = values[next_random() % (sizeof values / sizeof *values)];
    else if (value % 4 == 1)
        value = next_random() % 4096;
    if (next_random() % 2)
        patch.offset %= 64;
    memcpy(patch.value, &value, sizeof value);
    memcpy(to, &patch, sizeof patch);
}

static void make_input(void)
{
    input.size = 0;
    if (corpus_count && next_random() % 2)
        input = corpus[next_random() % corpus_count];
    for (uint64_t n = next_random() % 8; n > 0 && input.size + sizeof(struct fuzz_patch) <= LARGEST; n--) {
        make_patch(input.data + input.size);
        input.size += sizeof(struct fuzz_patch);
    }
    for (uint64_t n = next_random() % 4; n > 0 && input.size; n--)
        input.data[next_random() % input.size] = (uint8_t)next_random();
    if (next_random() % 8 == 0)
        input.size = next_random() % (input.size + 1);
}

static void read_input(const char *path)
{
    FILE *file = fopen(path, "re");

    if (!file) {
        perror(path);
        exit(2);
    }
    input.size = fread(input.data, 1, LARGEST, file);
    fclose(file);
}

/* Run all inputs of a folder, and keep them to make others of. */
static void run_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            read_input(path);
            run_input();
            if (corpus_count < KEPT)
                corpus[corpus_count++] = input;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    const char *seconds = getenv("FUZZ_SECONDS"), *given = getenv("FUZZ_SEED");
    struct stat status;
    double end;

    setvbuf(stdout, NULL, _IOLBF, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    seed = given ? strtoull(given, NULL, 0) : (unsigned long long)time(NULL) * 1000003 + (unsigned long long)getpid();
    state = seed | 1;
    printf("1..1\n");
    watch_for_crashes();
    if (argc > 1 && stat(argv[1], &status) == 0 && S_ISREG(status.st_mode)) {
        read_input(argv[1]);
        run_input();
        return 0;
    }
    if (argc > 1)
        run_folder(argv[1]);
    end = now() + (seconds ? strtod(seconds, NULL) : 2);
    while (now() < end) {
        make_input();
        run_input();
    }
    printf("# %llu inputs, FUZZ_SEED=%llu\nok 1 - arbitrary bytes are refused\n", runs, seed);
    return 0;
}
