#include "lib/io/resolve.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>

/* libevent calls back within evdns_getaddrinfo when the hosts file knows the name, and some
 * turns after a cancel. So the answer is kept here until a timer hands it on, outside of libevent's
 * own call, where its resolver can be freed. */
struct resolve {
    struct evdns_base              *dns;        /* owned */
    struct evdns_getaddrinfo_request *request;  /* NULL once answered */
    struct timer                    handing_on;
    bool                            answered;
    const char                     *problem;    /* static; NULL: found is set */
    struct address                  found;
    int                             port;
    unsigned                        turn;
    resolve_fn                     *fn;         /* NULL: cancelled */
    void                           *arg;
};

bool address_from_digits(const char *host, int port, struct address *out)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        out->len = sizeof out->v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        out->len = sizeof out->v6;
        return true;
    }
    return false;
}

static void resolve_free(struct resolve *q)
{
    timer_stop(&q->handing_on);
    if (q->dns)
        evdns_base_free(q->dns, 0);
    free(q);
}

static void on_hand_on(void *arg)
{
    struct resolve *q = arg;

    if (q->fn)
        q->fn(q->arg, q->problem ? NULL : &q->found, q->problem);
    resolve_free(q);
}

static void choose(struct resolve *q, const struct evutil_addrinfo *all)
{
    const struct evutil_addrinfo *one;
    unsigned count = 0;

    for (one = all; one; one = one->ai_next)
        count++;
    one = all;
    for (unsigned skip = q->turn % count; skip; skip--)
        one = one->ai_next;
    memcpy(&q->found.room, one->ai_addr, one->ai_addrlen);
    q->found.len = one->ai_addrlen;
    if (q->found.any.sa_family == AF_INET6)
        q->found.v6.sin6_port = htons((uint16_t)q->port);
    else
        q->found.v4.sin_port = htons((uint16_t)q->port);
}

static void on_answer(int result, struct evutil_addrinfo *all, void *arg)
{
    struct resolve *q = arg;

    q->request = NULL;
    q->answered = true;
    if (result != 0 || !all)
        q->problem = result ? evutil_gai_strerror(result) : "the name has no address";
    else
        choose(q, all);
    if (all)
        evutil_freeaddrinfo(all);
    timer_set(&q->handing_on, 0);
}

static struct evdns_base *resolver_new(struct loop *l)
{
    struct evdns_base *dns = evdns_base_new(loop_base(l), 0);

    if (!dns)
        return NULL;
    /* Without the file the loopback is asked, as libc does. */
    evdns_base_resolv_conf_parse(dns, DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS |
                                 DNS_OPTION_MISC, "/etc/resolv.conf");
    evdns_base_load_hosts(dns, "/etc/hosts");
    evdns_base_set_option(dns, "timeout:", "1");
    evdns_base_set_option(dns, "attempts:", "3");
    /* Some name servers answer in lower case only, whatever was asked. */
    evdns_base_set_option(dns, "randomize-case:", "0");
    /* How long one address family waits for the other. */
    evdns_base_set_option(dns, "getaddrinfo-allow-skew:", "0.3");
    return dns;
}

struct resolve *resolve_begin(struct loop *l, const char *host, int port, unsigned turn,
                              resolve_fn *fn, void *arg)
{
    struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct evdns_getaddrinfo_request *request;
    struct resolve *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    timer_init(&q->handing_on, l, on_hand_on, q);
    q->dns = resolver_new(l);
    if (!q->dns) {
        resolve_free(q);
        return NULL;
    }
    q->port = port;
    q->turn = turn;
    q->fn = fn;
    q->arg = arg;
    request = evdns_getaddrinfo(q->dns, host, NULL, &hints, on_answer, q);
    if (!q->answered && !request)
        on_answer(EVUTIL_EAI_MEMORY, NULL, q);
    else if (!q->answered)
        q->request = request;
    return q;
}

void resolve_cancel(struct resolve *q)
{
    if (!q)
        return;
    q->fn = NULL;
    if (q->answered)
        resolve_free(q);
    else
        evdns_getaddrinfo_cancel(q->request);   /* frees itself when the last word comes */
}
