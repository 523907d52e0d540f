/* One document for the browser, many files to edit: those of page/ one after another, all styles in
 * one element and all scripts in another one. .incbin resolves against the directory the compiler
 * runs in, which is the top of the project. The hashes are taken from the page itself, so an edit
 * of it needs no second place to be edited. */
#include "ctl/page.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define PART(file) ".incbin \"src/ctl/page/" file "\"\n"
#define TEXT(text) ".ascii \"" text "\\n\"\n"

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".globl page_html_begin, page_html_end\n"
        ".hidden page_html_begin, page_html_end\n"
        "page_html_begin:\n"
        /* clang-format off */
        PART("head.html")
        TEXT("<style>")
        PART("base.css") PART("picture.css") PART("lists.css")
        TEXT("</style>")
        PART("body.html")
        TEXT("<script>")
        PART("words.js") PART("elements.js") PART("history.js") PART("problems.js")
        PART("pool.js") PART("picture.js") PART("wires.js") PART("lists.js") PART("details.js")
        PART("controls.js") PART("main.js")
        TEXT("</script>") TEXT("</body>") TEXT("</html>")
        /* clang-format on */
        "page_html_end:\n"
        ".byte 0\n"
        ".popsection\n");

extern const char page_html_begin[];
extern const char page_html_end[];

#define HASH_TEXT_MAX 48 /* 32 bytes in base64, and a NUL */

const char *page_html(size_t *len)
{
    *len = (size_t)(page_html_end - page_html_begin);
    return page_html_begin;
}

/* Base64 of the SHA-256 of what stands between two tags (CSP 3, section 2.3.1), or an empty text,
 * which allows nothing. */
static void hash_between(const char *open, const char *close, char out[HASH_TEXT_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    const char *from = strstr(page_html_begin, open);
    const char *to = from != NULL ? strstr(from, close) : NULL;
    out[0] = '\0';
    if (to == NULL) {
        return;
    }
    from += strlen(open);
    if (EVP_Digest(from, (size_t)(to - from), digest, &digest_len, EVP_sha256(), NULL) == 1) {
        EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_len);
    }
}

void page_policy(char out[PAGE_POLICY_MAX])
{
    char style[HASH_TEXT_MAX];
    char script[HASH_TEXT_MAX];
    hash_between("<style>", "</style>", style);
    hash_between("<script>", "</script>", script);
    snprintf(out, PAGE_POLICY_MAX,
             "default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; "
             "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'none'",
             style, script);
}
