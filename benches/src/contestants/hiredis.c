/* Drains the canned stream with hiredis's reply reader and prints one outcome line.
 *
 * usage: PORT SECONDS MARKER MARKER_LEN CHANNEL... -- [PATTERN...]
 */
#define _POSIX_C_SOURCE 200809L
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024, MOST_NAMES = 1024 };

static void fail(const char *what)
{
    fprintf(stderr, "hiredis: %s\n", what);
    exit(1);
}

static uint64_t nanos(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static unsigned long peak_kib(void)
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

/* Blocks until the reader holds a whole reply. */
static redisReply *next_reply(int fd, redisReader *reader)
{
    static char buffer[READ_SIZE];
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK)
            fail(reader->errstr);
        if (reply)
            return reply;
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got <= 0)
            fail("the stream broke off");
        redisReaderFeed(reader, buffer, (size_t)got);
    }
}

/* Sends `command` with all `names`, and waits for a confirmation of each. */
static void subscribe(int fd, redisReader *reader, const char *command, int count, char **names)
{
    const char *arguments[MOST_NAMES + 1] = {command};
    char *encoded;
    if (count == 0)
        return;
    if (count > MOST_NAMES)
        fail("too many names");
    for (int i = 0; i < count; i++)
        arguments[i + 1] = names[i];
    long len = redisFormatCommandArgv(&encoded, count + 1, arguments, NULL);
    if (len < 0 || write(fd, encoded, (size_t)len) != len)
        fail("cannot subscribe");
    redisFreeCommand(encoded);
    for (int i = 0; i < count; i++)
        freeReplyObject(next_reply(fd, reader));
}

int main(int argc, char **argv)
{
    if (argc < 6)
        fail("too few arguments");
    int port = atoi(argv[1]);
    alarm((unsigned)atoi(argv[2]));
    const char *marker = argv[3];
    size_t marker_prefix = strlen(marker), marker_len = (size_t)atoi(argv[4]);

    redisContext *context = redisConnect("127.0.0.1", port);
    if (!context || context->err)
        fail("cannot connect");
#if HIREDIS_MAJOR >= 1
    freeReplyObject(redisCommand(context, "HELLO 3"));
#endif
    redisReader *reader = redisReaderCreate();
    /* Keep the buffer: by default it is freed whenever it is empty and has held more than 16 KiB. */
    reader->maxbuf = 0;
    char **channels = argv + 5, **separator = channels;
    while (*separator && strcmp(*separator, "--") != 0)
        separator++;
    if (!*separator)
        fail("no separator");
    char **patterns = separator + 1;
    subscribe(context->fd, reader, "SUBSCRIBE", (int)(separator - channels), channels);
    subscribe(context->fd, reader, "PSUBSCRIBE", (int)(argv + argc - patterns), patterns);

    uint64_t messages = 0, bytes = 0, started = 0;
    uint64_t cpu = nanos(CLOCK_PROCESS_CPUTIME_ID);
    while (started == 0) {
        redisReply *reply = next_reply(context->fd, reader);
        if (reply->elements < 3)
            fail("not a message");
        redisReply *payload = reply->element[reply->elements - 1];
        if ((size_t)payload->len == marker_len && strncmp(payload->str, marker, marker_prefix) == 0) {
            started = strtoull(payload->str + marker_prefix, NULL, 10);
        } else {
            messages++;
            bytes += (uint64_t)payload->len;
        }
        freeReplyObject(reply);
    }
    cpu = nanos(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    uint64_t wall = nanos(CLOCK_MONOTONIC) - started;
    printf("%llu %llu %llu %llu %lu\n", (unsigned long long)messages, (unsigned long long)bytes,
           (unsigned long long)wall, (unsigned long long)cpu, peak_kib());
    return 0;
}
