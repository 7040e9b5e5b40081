#include "cmdline.h"
#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static bool is_quoted(bool quoted, char c)
{
    return quoted != (c == '"');
}

bool mvm_cmdline_is_open(const char *text)
{
    bool quoted = false;
    for (; *text != '\0'; text++) {
        quoted = is_quoted(quoted, *text);
    }
    return quoted;
}

/* Cuts the next word off at `*rest`; NULL: no more. Blanks between quotes are part of it. */
static char *next_word(char **rest)
{
    char *at = *rest;
    bool quoted = false;
    while (is_blank(*at)) {
        at++;
    }
    char *word = at;
    while (*at != '\0' && (quoted || !is_blank(*at))) {
        quoted = is_quoted(quoted, *at);
        at++;
    }
    *rest = *at != '\0' ? at + 1 : at;
    *at = '\0';
    return *word != '\0' ? word : NULL;
}

/* Removes the quotes around `text`; the closing one may be missing. */
static char *unquote(char *text)
{
    if (text[0] != '"') {
        return text;
    }
    size_t len = strlen(++text);
    if (len > 0 && text[len - 1] == '"') {
        text[len - 1] = '\0';
    }
    return text;
}

/* Removes the quotes around what follows the first '='. */
static void unquote_value(char *word)
{
    char *value = memchr(word, '=', strlen(word));
    if (value != NULL && value[1] == '"') {
        const char *bare = unquote(value + 1);
        memmove(value + 1, bare, strlen(bare) + 1);
    }
}

/* mvm.NAME… becomes --NAME…; NULL: a word of the kernel's or of another program's. */
static char *as_option(char *word)
{
    static const char prefix[] = "mvm.";
    size_t len = sizeof prefix - 1;
    word = unquote(word);
    if (strncmp(word, prefix, len) != 0 || word[len] == '\0') {
        return NULL;
    }
    unquote_value(word);
    word += len - 2;
    memcpy(word, "--", 2);
    return word;
}

/* --nix-option alone has two values, joined by '='. Cuts the second off; NULL: none. */
static char *second_value(char *option)
{
    static const char pair[] = "--nix-option=";
    size_t len = sizeof pair - 1;
    char *second =
        strncmp(option, pair, len) == 0 ? memchr(option + len, '=', strlen(option + len)) : NULL;
    if (second == NULL) {
        return NULL;
    }
    *second++ = '\0';
    return unquote(second);
}

int mvm_cmdline_next(char **rest, char *words[2])
{
    char *word;
    while ((word = next_word(rest)) != NULL) {
        if (strcmp(word, "--") == 0) {
            *rest += strlen(*rest);
            return 0;
        }
        char *option = as_option(word);
        if (option != NULL) {
            words[0] = option;
            words[1] = second_value(option);
            return words[1] != NULL ? 2 : 1;
        }
    }
    return 0;
}
