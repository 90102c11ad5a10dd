#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench/load.h"

static const char usage[] =
    "usage: load --port N [--host ADDRESS] [--path PATH] [--body TEXT] [--session PREFIX]\n"
    "            [--stream] [--openai] [--fresh] [--expect STATUS] [--connections N] [--turns N]\n"
    "            [--seconds S [--warmup S]]\n"
    "Without --seconds each connection makes one request, all at once. Prints JSON.\n";

enum { HOST = 1, PORT, PATH, BODY, SESSION, STREAM, OPENAI, FRESH, EXPECT, CONNECTIONS, TURNS,
       SECONDS, WARMUP };

static const struct option names[] = {
    { "host", 1, NULL, HOST }, { "port", 1, NULL, PORT }, { "path", 1, NULL, PATH },
    { "body", 1, NULL, BODY }, { "session", 1, NULL, SESSION }, { "stream", 0, NULL, STREAM },
    { "openai", 0, NULL, OPENAI }, { "fresh", 0, NULL, FRESH }, { "expect", 1, NULL, EXPECT },
    { "connections", 1, NULL, CONNECTIONS }, { "turns", 1, NULL, TURNS },
    { "seconds", 1, NULL, SECONDS }, { "warmup", 1, NULL, WARMUP }, { NULL, 0, NULL, 0 },
};

bool options_read(struct options *o, int argc, char **argv)
{
    int c;

    *o = (struct options){
        .host = "127.0.0.1", .path = "/api/v1/chat", .session = "bench", .expect = 200,
        .body = "{\"session_id\":\"%s\",\"user_text\":\"How are you today?\"}", .connections = 1,
    };
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case HOST: o->host = optarg; break;
        case PORT: o->port = atoi(optarg); break;
        case PATH: o->path = optarg; break;
        case BODY: o->body = optarg; break;
        case SESSION: o->session = optarg; break;
        case STREAM: o->stream = true; break;
        case OPENAI: o->openai = o->stream = true; break;
        case FRESH: o->fresh = true; break;
        case EXPECT: o->expect = atoi(optarg); break;
        case CONNECTIONS: o->connections = (unsigned)atoi(optarg); break;
        case TURNS: o->turns = (unsigned)atoi(optarg); break;
        case SECONDS: o->seconds = atof(optarg); break;
        case WARMUP: o->warmup = atof(optarg); break;
        default: fputs(usage, stderr); return false;
        }
    }
    if (o->port > 0 && optind == argc)
        return true;
    fputs(usage, stderr);
    return false;
}

void results_fail(struct results *r, const char *kind)
{
    int i = 0;

    r->failed++;
    while (i < KINDS_MAX - 1 && r->kinds[i].count && strcmp(r->kinds[i].name, kind) != 0)
        i++;
    if (!r->kinds[i].count)
        snprintf(r->kinds[i].name, sizeof(r->kinds[i].name), "%s", i < KINDS_MAX - 1 ? kind : "other");
    r->kinds[i].count++;
}

void results_print(FILE *out, const struct results *r)
{
    static const char *const phases[] = { "opening", "plateau", "closing" };
    static struct hist all;

    fprintf(out, "{\"ok\":%llu,\"failed\":%llu,\"answered\":%llu,\"failures\":{",
            (unsigned long long)r->ok, (unsigned long long)r->failed,
            (unsigned long long)r->answered);
    for (int i = 0; i < KINDS_MAX && r->kinds[i].count; i++)
        fprintf(out, "%s\"%s\":%llu", i ? "," : "", r->kinds[i].name,
                (unsigned long long)r->kinds[i].count);
    fprintf(out, "},\"seconds\":%.3f,\"open_seconds\":%.3f,\"cpu_seconds\":%.3f,\"per_second\":%.1f",
            r->seconds, r->open_seconds, r->cpu_seconds,
            r->seconds > 0 ? (double)r->ok / r->seconds : 0);
    for (int i = 0; i < PHASE_COUNT; i++) {
        hist_merge(&all, &r->tokens[i]);
        fprintf(out, ",\n\"tokens_%s\":", phases[i]);
        hist_print(out, &r->tokens[i]);
    }
    fputs(",\n\"tokens\":", out);
    hist_print(out, &all);
    fputs(",\n\"first\":", out);
    hist_print(out, &r->first);
    fputs(",\n\"whole\":", out);
    hist_print(out, &r->whole);
    fputs(",\n\"refused\":", out);
    hist_print(out, &r->refused);
    fputs("}\n", out);
}
