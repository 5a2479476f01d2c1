#include "shared/base/httpd_peers.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/mem.h"

#define BUCKETS 1024

struct peer {
    uint8_t key[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned count;
    struct peer *next;
};

struct httpd_peers {
    unsigned max;
    pthread_mutex_t lock;
    struct peer *buckets[BUCKETS]; /* under lock */
};

struct httpd_peers *httpd_peers_new(unsigned max)
{
    struct httpd_peers *p = mem_alloc(sizeof(*p));
    p->max = max;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void httpd_peers_free(struct httpd_peers *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (p->buckets[i]) {
            struct peer *one = p->buckets[i];
            p->buckets[i] = one->next;
            free(one);
        }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static bool key_of(const struct sockaddr *address, uint8_t key[16])
{
    if (address && address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        memcpy(key, &in6.sin6_addr, 16);
        return true;
    }
    if (!address || address->sa_family != AF_INET)
        return false;
    struct sockaddr_in in;
    memcpy(&in, address, sizeof(in));
    memset(key, 0, 10);
    key[10] = key[11] = 0xff;
    memcpy(key + 12, &in.sin_addr, 4);
    return true;
}

/* Where `key` is, or is to be; called with the lock held. */
static struct peer **find(struct httpd_peers *p, const uint8_t key[16])
{
    uint32_t hash = 0;
    for (size_t i = 0; i < 16; i++)
        hash = hash * 31 + key[i];
    struct peer **at = &p->buckets[hash % BUCKETS];
    while (*at && memcmp((*at)->key, key, 16) != 0)
        at = &(*at)->next;
    return at;
}

bool httpd_peers_enter(struct httpd_peers *p, const struct sockaddr *address)
{
    uint8_t key[16];
    if (!key_of(address, key))
        return true;
    pthread_mutex_lock(&p->lock);
    struct peer **at = find(p, key);
    if (!*at) {
        *at = mem_alloc(sizeof(**at));
        memcpy((*at)->key, key, sizeof(key));
    }
    bool room = ++(*at)->count <= p->max;
    pthread_mutex_unlock(&p->lock);
    return room;
}

void httpd_peers_leave(struct httpd_peers *p, const struct sockaddr *address)
{
    uint8_t key[16];
    if (!key_of(address, key))
        return;
    pthread_mutex_lock(&p->lock);
    struct peer **at = find(p, key), *one = *at;
    if (one && --one->count == 0) {
        *at = one->next;
        free(one);
    }
    pthread_mutex_unlock(&p->lock);
}
