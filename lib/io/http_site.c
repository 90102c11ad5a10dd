/* Who is asked in the clear, and which URLs are such that we can do it. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/http_plain.h"

/* The length of "http://host:port" in front of a path, if the URL has nothing in it that libcurl
 * would read in its own way; else 0. */
static size_t usual_url(const char *url)
{
    static const char scheme[] = "http://";
    const char *host = url + sizeof(scheme) - 1, *path = host;

    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return 0;
    while (isalnum((unsigned char)*path) || (*path && strchr(".-_:[]", *path)))
        path++;
    if (path == host || *path != '/' || strstr(path, "/."))
        return 0;
    for (const char *at = path; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '#')
            return 0;
    return (size_t)(path - url);
}

struct plain_site *plain_site(struct http *h, const char *url, const char **path)
{
    size_t len = h->proxied ? 0 : usual_url(url);
    struct plain_site *s;

    if (len == 0)
        return NULL;
    *path = url + len;
    for (struct list *l = h->sites.next; l != &h->sites; l = l->next) {
        s = list_owner(l, struct plain_site, link);
        if (strncmp(s->url, url, len + 1) == 0 && s->url[len + 1] == '\0')
            return s;
    }
    s = calloc(1, sizeof(*s) + len + 2);
    if (!s)
        return NULL;
    memcpy(s->url, url, len + 1);
    list_init(&s->idle);
    list_push(&h->sites, &s->link);
    return s;
}

void plain_free_sites(struct http *h)
{
    while (!list_empty(&h->sites)) {
        struct plain_site *s = list_owner(h->sites.next, struct plain_site, link);

        plain_close_idle(s);
        list_take(&s->link);
        free(s);
    }
}
