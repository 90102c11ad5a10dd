#include "lib/chat/dialog_format.h"

#include <string.h>

#include "lib/chat/dialog_html.h"

static const struct dialog_format dialog_html = {
    .name = "html",
    .content_type = "text/html; charset=utf-8",
    .begin = dialog_html_begin,
    .turn = dialog_html_turn,
    .end = dialog_html_end,
    .broken = dialog_html_broken,
};

const struct dialog_format *dialog_format_find(const char *name)
{
    static const struct dialog_format *const all[] = {
        &dialog_md, &dialog_html, &dialog_json, &dialog_txt,
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}
