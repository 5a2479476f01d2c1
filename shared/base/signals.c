#include "shared/base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "shared/base/clock.h"

#include "shared/base/mem.h"

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

void signals_block(void)
{
    sigset_t set;
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int signals_wait(void)
{
    sigset_t set;
    int got = 0;
    stop_signals(&set);
    while (sigwait(&set, &got) != 0)
        ;
    return got;
}

int signals_wait_ms(int64_t ms)
{
    sigset_t set;
    int got = -1;
    stop_signals(&set);
    int64_t until = clock_mono_ms(clock_system()) + ms;
    while (got < 0 && (ms = until - clock_mono_ms(clock_system())) > 0) {
        struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
        got = sigtimedwait(&set, NULL, &left);
    }
    return got < 0 ? 0 : got;
}

void signals_unblock(void)
{
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGPIPE, SIG_DFL);
}

const char *signals_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        { SIGHUP, "SIGHUP" },       { SIGINT, "SIGINT" },       { SIGQUIT, "SIGQUIT" },
        { SIGILL, "SIGILL" },       { SIGTRAP, "SIGTRAP" },     { SIGABRT, "SIGABRT" },
        { SIGBUS, "SIGBUS" },       { SIGFPE, "SIGFPE" },       { SIGKILL, "SIGKILL" },
        { SIGUSR1, "SIGUSR1" },     { SIGSEGV, "SIGSEGV" },     { SIGUSR2, "SIGUSR2" },
        { SIGPIPE, "SIGPIPE" },     { SIGALRM, "SIGALRM" },     { SIGTERM, "SIGTERM" },
        { SIGSTKFLT, "SIGSTKFLT" }, { SIGVTALRM, "SIGVTALRM" }, { SIGPROF, "SIGPROF" },
        { SIGXCPU, "SIGXCPU" },     { SIGXFSZ, "SIGXFSZ" },     { SIGIO, "SIGIO" },
        { SIGPWR, "SIGPWR" },       { SIGSYS, "SIGSYS" },       { SIGCHLD, "SIGCHLD" },
        { SIGCONT, "SIGCONT" },     { SIGSTOP, "SIGSTOP" },     { SIGTSTP, "SIGTSTP" },
        { SIGTTIN, "SIGTTIN" },     { SIGTTOU, "SIGTTOU" },     { SIGURG, "SIGURG" },
        { SIGWINCH, "SIGWINCH" },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}
