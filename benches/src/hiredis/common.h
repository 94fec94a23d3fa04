/* What the programs with hiredis share. */
#define _POSIX_C_SOURCE 200809L
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static inline void fail(const char *what)
{
    fprintf(stderr, "hiredis: %s\n", what);
    exit(1);
}

static inline uint64_t nanos(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static inline unsigned long peak_kib(void)
{
    unsigned long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lu", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

/* Connects, and ends the program should it hang. */
static inline redisContext *connect_within(int port, unsigned seconds)
{
    alarm(seconds);
    redisContext *context = redisConnect("127.0.0.1", port);
    if (!context || context->err)
        fail("cannot connect");
#if HIREDIS_MAJOR >= 1
    freeReplyObject(redisCommand(context, "HELLO 3"));
#endif
    return context;
}

/* The line that the benchmark reads: `cpu` and `wall` are the clocks when the work began. */
static inline void print_outcome(uint64_t count, uint64_t bytes, uint64_t wall, uint64_t cpu)
{
    cpu = nanos(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = nanos(CLOCK_MONOTONIC) - wall;
    printf("%llu %llu %llu %llu %lu\n", (unsigned long long)count, (unsigned long long)bytes,
           (unsigned long long)wall, (unsigned long long)cpu, peak_kib());
}
