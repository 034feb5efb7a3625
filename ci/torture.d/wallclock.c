/* A wall clock that a test sets, for one program (LD_PRELOAD): the real one plus an offset in nanoseconds that lies in the
 * file LIGHTFLOW_TORTURE_CLOCK. No other clock changes, as when a time server sets the clock. A timer of the wall clock that is
 * to be cancelled when the clock is set (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) becomes readable then. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BILLION = 1000000000, DESCRIPTORS = 4096 };

static _Atomic int64_t *offset;
static _Atomic char of_wall_clock[DESCRIPTORS], to_cancel[DESCRIPTORS];

static int64_t now(clockid_t clock) {
    struct timespec time;
    syscall(SYS_clock_gettime, clock, &time);
    return (int64_t)time.tv_sec * BILLION + time.tv_nsec;
}

static struct timespec from(int64_t nanoseconds) {
    return (struct timespec){.tv_sec = nanoseconds / BILLION, .tv_nsec = nanoseconds % BILLION};
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!offset || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return syscall(SYS_clock_gettime, clock, time);
    *time = from(now(clock) + *offset);
    return 0;
}

int gettimeofday(struct timeval *time, void *zone) {
    (void)zone;
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    time->tv_sec = precise.tv_sec;
    time->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (place)
        *place = precise.tv_sec;
    return precise.tv_sec;
}

int timerfd_create(int clock, int flags) {
    int descriptor = syscall(SYS_timerfd_create, clock, flags);
    if (descriptor >= 0 && descriptor < DESCRIPTORS) {
        of_wall_clock[descriptor] = clock == CLOCK_REALTIME;
        to_cancel[descriptor] = 0;
    }
    return descriptor;
}

int timerfd_settime(int descriptor, int flags, const struct itimerspec *wanted, struct itimerspec *former) {
    struct itimerspec real = *wanted;
    int ours = descriptor < DESCRIPTORS && of_wall_clock[descriptor];
    if (offset && ours && (flags & TFD_TIMER_ABSTIME)) {
        int64_t at = (int64_t)wanted->it_value.tv_sec * BILLION + wanted->it_value.tv_nsec - *offset;
        /* Zero would disarm it; a time before 1970 is long past. */
        real.it_value = from(at > 1 ? at : 1);
        to_cancel[descriptor] = (flags & TFD_TIMER_CANCEL_ON_SET) != 0;
    }
    return syscall(SYS_timerfd_settime, descriptor, flags, &real, former);
}

static void *watch(void *nothing) {
    (void)nothing;
    int64_t known = *offset;
    for (;;) {
        usleep(5000);
        int64_t shown = *offset;
        if (shown == known)
            continue;
        known = shown;
        for (int descriptor = 0; descriptor < DESCRIPTORS; descriptor++) {
            /* A closed descriptor is another file's, or none: the call fails. */
            struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
            if (to_cancel[descriptor])
                syscall(SYS_timerfd_settime, descriptor, 0, &at_once, NULL);
        }
    }
    return NULL;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LIGHTFLOW_TORTURE_CLOCK");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *memory = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        return;
    offset = memory;
    pthread_t thread;
    pthread_create(&thread, NULL, watch, NULL);
}
