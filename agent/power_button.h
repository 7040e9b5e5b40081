/*
 * The machine's power button: ACPI's, which QEMU's system_powerdown and Cloud Hypervisor's
 * power-button press, or any other key that Linux calls KEY_POWER.
 */
#ifndef MVM_POWER_BUTTON_H
#define MVM_POWER_BUTTON_H

/* From now on this process gets SIGPWR, once or more, when a power button is pressed. Needs an
 * input device, /dev/input/event*: the kernel's button and evdev, built in or loaded. Without one
 * it has no effect. */
void mvm_power_button_watch(void);

#endif
