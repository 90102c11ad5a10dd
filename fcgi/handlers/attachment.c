#include "fcgi/handlers/attachment.h"

#include <string.h>

#include "lib/base/text.h"

/* File systems take 255 bytes; some room is left for what browsers add: " (1)". */
enum { NAME_MAX_BYTES = 180 };

/* Length of a character that turns the writing direction, which would disguise the extension
 * ("exe.md" shown as "dm.exe"); 0 when s is none. */
static size_t direction_mark(const char *s, size_t len)
{
    static const char *const marks[] = {
        "\u200E", "\u200F", "\u202A", "\u202B", "\u202C", "\u202D", "\u202E",
        "\u2066", "\u2067", "\u2068", "\u2069", "\u061C",
    };

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        size_t n = strlen(marks[i]);

        if (n <= len && memcmp(s, marks[i], n) == 0)
            return n;
    }
    return 0;
}

static void add_name(struct buf *out, const char *id, size_t len)
{
    if (len > NAME_MAX_BYTES)
        len = text_utf8_prefix(id, NAME_MAX_BYTES);
    for (size_t i = 0, n; i < len; i += n) {
        n = direction_mark(id + i, len - i);
        if (n > 0 || strchr("/\\:*?\"<>|", id[i]) || (i == 0 && id[i] == '.'))
            buf_addc(out, '_');
        else
            buf_addc(out, id[i]);
        n += n == 0;
    }
}

bool attachment_disposition(struct buf *out, const char *id, size_t len, const char *extension)
{
    char slug[80];
    struct buf name;

    text_slug(id, len, slug, sizeof(slug));
    buf_addf(out, "attachment; filename=\"%s.%s\"; filename*=UTF-8''", slug, extension);
    buf_init(&name, 3 * NAME_MAX_BYTES);
    add_name(&name, id, len);
    text_percent_encode(name.data, name.len, out);
    buf_close(&name);
    return buf_addf(out, ".%s", extension);
}
