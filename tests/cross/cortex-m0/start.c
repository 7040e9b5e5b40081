/* What the core needs before C can run: the initial stack, the entry point, and the fault handlers.
 * The rest of the start-up is newlib's; output and exit go through the debugger ("semihosting"). */
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
