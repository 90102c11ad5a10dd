/* What browsers get: the chat page (at /, see older.c), GET /docs, and GET /api/v1/openapi.json.
 *
 * The pages carry their script and style with them, and ask nobody but us. The policy that
 * says so names the script by its hash, so that no other one runs, whatever a page shows. */

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/handlers/handlers.h"
#include "fcgi/response.h"
#include "fcgi/web_files.h"

enum { POLICY_SIZE = 512 };

/* SHA-256, in base64, of what stands between <script> and </script>. */
static void script_hash(const struct web_file *page, char out[64])
{
    static const char open[] = "<script>", close[] = "</script>";
    const unsigned char *end = page->bytes + page->len;
    const unsigned char *from = memmem(page->bytes, page->len, open, sizeof(open) - 1);
    const unsigned char *to;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    out[0] = '\0';
    if (!from)
        return;
    from += sizeof(open) - 1;
    to = memmem(from, (size_t)(end - from), close, sizeof(close) - 1);
    if (to && EVP_Digest(from, (size_t)(to - from), digest, &len, EVP_sha256(), NULL))
        EVP_EncodeBlock((unsigned char *)out, digest, (int)len);
}

static void send_page(struct request *r, const struct web_file *page)
{
    char hash[64], policy[POLICY_SIZE];

    script_hash(page, hash);
    snprintf(policy, sizeof(policy),
             "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
             "script-src 'sha256-%s'; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'", hash);
    response_header(r, "Content-Security-Policy", policy);
    response_header(r, "Referrer-Policy", "no-referrer");
    response_bytes(r, 200, "text/html; charset=utf-8", (const char *)page->bytes, page->len);
}

void handle_chat_page(struct request *r)
{
    send_page(r, &web_index_html);
}

void handle_docs(struct request *r)
{
    send_page(r, &web_docs_html);
}

void handle_openapi(struct request *r)
{
    response_bytes(r, 200, "application/json", (const char *)web_openapi_json.bytes,
                   web_openapi_json.len);
}
