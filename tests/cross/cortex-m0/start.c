/* What the core wants before C can run: where the stack begins, where the program does, and what
 * happens on a fault. The rest of the start is newlib's, output and exit are the debugger's
 * ("semihosting"). */
#include <stdio.h>
#include <stdlib.h>

void stack_top(void); /* an address alone, from memory.ld */
void _start(void);

static void fault(void)
{
    printf("fault: bad address, bad instruction or misaligned access\n");
    exit(1);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    stack_top, _start, fault, /* NMI */
    fault,                    /* HardFault */
};
