/* Replays files through a fuzz target, without libFuzzer: a finding is a regression test. */
#include "fuzz.h"
#include <stdio.h>

static uint8_t data[1 << 20];

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        size_t size = fread(data, 1, sizeof data, file);
        bool whole = feof(file) && !ferror(file);
        fclose(file);
        if (!whole) {
            fprintf(stderr, "%s: cannot be read, or over %zu bytes\n", argv[i], sizeof data);
            return 1;
        }
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%d inputs replayed\n", argc - 1);
    return 0;
}
