#ifndef CONFAB_WEB_FILES_H
#define CONFAB_WEB_FILES_H
/* The files of web/, see web/embed.sh. */

#include <stddef.h>

struct web_file { const unsigned char *bytes; size_t len; };

extern const struct web_file web_index_html, web_docs_html, web_openapi_json;

#endif
