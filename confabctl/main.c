/* confabctl: the operator's command. Runs on a machine of the installation, with its settings, and
 * works on Redis directly, so that it also helps when no handler does. One file per group of
 * commands. */

#include <stdio.h>
#include <string.h>

#include "confabctl/ctl.h"
#include "lib/base/log.h"
#include "lib/base/options.h"

struct command {
    const char *name;           /* one or two words */
    const char *arguments;
    const char *help;
    int       (*run)(struct ctl *c, int argc, char **argv);
};

static const struct command commands[] = {
    { "check", "", "would confab work with these settings? What to do about what would not",
      ctl_check },
    { "key add", "--tenant NAME [--name NAME] [--rpm N] [--in-flight N] [--tokens-per-day N]",
      "a new key; it is printed once, and only its hash is kept", ctl_key_add },
    { "key list", "[--tenant NAME]", "the keys in Redis, and their limits", ctl_key_list },
    { "key revoke", "TENANT:NAME | ID", "a key is refused from now on", ctl_key_revoke },
    { "pool", "", "the processes that are at work on this host", ctl_pool },
    { "tasks list", "[--tenant NAME] [--status STATUS] [--session ID] [--limit N]",
      "tasks, the newest first; of all tenants unless one is named", ctl_tasks_list },
    { "tasks show", "ID...", "everything about them", ctl_tasks_show },
    { "tasks retry", "ID...", "failed ones are tried again", ctl_tasks_retry },
    { "tasks retry-all", "[--tenant NAME] [--code CODE]",
      "every failed one (with this error code) is tried again, but for cancelled ones",
      ctl_tasks_retry_all },
    { "tasks cancel", "ID...", "ones that wait become failed", ctl_tasks_cancel },
    { "tasks delete", "ID...", "the records of ones that have ended go, the documents stay",
      ctl_tasks_delete },
    { "tasks pause", "[REASON]", "none is begun until `tasks resume`", ctl_tasks_pause },
    { "tasks resume", "", "the queue goes on, whatever had paused it", ctl_tasks_resume },
    { "tasks queue", "", "is the queue paused, why, and how much is in it", ctl_tasks_queue },
    { "usage", "[--tenant NAME] [--days N]", "what each key has used, by day", ctl_usage },
};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static void usage_of(const struct command *command, FILE *out)
{
    fprintf(out, "  confabctl %s %s\n", command->name, command->arguments);
}

static int usage(FILE *out, int status)
{
    fputs("confabctl: looks after an installation of confab\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++) {
        usage_of(&commands[i], out);
        fprintf(out, "        %s\n", commands[i].help);
    }
    fputs("\n"
          "  confabctl --help | --version | --get NAME\n"
          "\n"
          "The settings are those of the programs: the environment, and $CONFAB_CONFIG\n"
          "(/etc/confab/confab.ini). Exit status: 0 well, 1 not, 2 wrong usage.\n", out);
    return status;
}

/* How many words of the command line name this command; 0: it is another. */
static int words_of(const struct command *command, int argc, char **argv)
{
    const char *name = command->name;
    size_t first = strcspn(name, " ");

    if (argc < 1 || strncmp(argv[0], name, first) != 0 || argv[0][first])
        return 0;
    if (!name[first])
        return 1;
    return argc >= 2 && strcmp(argv[1], name + first + 1) == 0 ? 2 : 0;
}

static void close_all(struct ctl *c)
{
    redis_free(c->redis);
    loop_free(c->loop);
    settings_free(&c->settings);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct ctl c = { .err = ERR_NONE };
    int status = EXIT_FAILURE;

    if (!settings_load(&c.settings)) {
        fputs("confabctl: the settings are wrong, see confab.ini(5)\n", stderr);
    } else {
        log_init("confabctl", LOG_LEVEL_ERROR);
        c.loop = loop_new();
        status = c.loop ? command->run(&c, argc, argv) : ctl_failed(&c);
    }
    if (status == CTL_USAGE && c.err.code != ERR_OK)
        ctl_failed(&c);
    close_all(&c);
    if (status == CTL_USAGE) {
        fputs("usage:\n", stderr);
        usage_of(command, stderr);
    }
    return status;
}

int main(int argc, char **argv)
{
    static const struct options_program options = { .name = "confabctl", .usage = "confabctl\n" };

    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout, EXIT_SUCCESS);
    if (argc >= 2 && argv[1][0] == '-')
        return options_answer(&options, argc, argv);
    for (size_t i = 0; i < COMMANDS; i++) {
        int words = words_of(&commands[i], argc - 1, argv + 1);

        if (words > 0)
            return run(&commands[i], argc - words, argv + words);
    }
    return usage(stderr, CTL_USAGE);
}
