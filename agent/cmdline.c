#include "cmdline.h"
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
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
        quoted = quoted != (*at == '"');
        at++;
    }
    *rest = *at != '\0' ? at + 1 : at;
    *at = '\0';
    return *word != '\0' ? word : NULL;
}

/* Takes the quotes around `text` away; the other end may be missing. */
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

/* Moves a quoted value to where its quote was. */
static void unquote_value(char *word)
{
    char *value = memchr(word, '=', strlen(word));
    if (value != NULL && value[1] == '"') {
        const char *bare = unquote(value + 1);
        memmove(value + 1, bare, strlen(bare) + 1);
    }
}

/* mvm.NAME… becomes --NAME…; NULL: it is none of ours. */
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

/* The one option with two values has them joined by '='; the second, cut off, or NULL. */
static char *second_value(char *option)
{
    static const char pair[] = "--nix-option=";
    size_t len = sizeof pair - 1;
    char *second =
        strncmp(option, pair, len) == 0 ? memchr(option + len, '=', strlen(option + len)) : NULL;
    if (second != NULL) {
        *second++ = '\0';
    }
    return second;
}

bool mvm_cmdline_args(char *text, char *argv[], size_t max, int *argc)
{
    size_t len = 0;
    bool all = true;
    char *word;
    while ((word = next_word(&text)) != NULL && strcmp(word, "--") != 0) {
        char *option = as_option(word);
        if (option == NULL) {
            continue;
        }
        char *second = second_value(option);
        size_t wanted = second != NULL ? 2 : 1;
        if (max - len < wanted) {
            all = false;
            continue;
        }
        argv[len] = option;
        if (second != NULL) {
            argv[len + 1] = second;
        }
        len += wanted;
    }
    *argc = (int)len;
    return all;
}
