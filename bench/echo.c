/* The least that can answer: accepts on descriptor 3 and sends back what comes. */
#define _POSIX_C_SOURCE 200809L
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    static char bytes[4096];
    for (;;) {
        int fd = accept(3, NULL, NULL);
        ssize_t n;
        while ((n = read(fd, bytes, sizeof bytes)) > 0) {
            if (write(fd, bytes, (size_t)n) != n) {
                break;
            }
        }
        close(fd);
    }
}
