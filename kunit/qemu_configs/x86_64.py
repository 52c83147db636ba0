# SPDX-License-Identifier: GPL-2.0-only
#
# For kunit.py --qemu_config: QEMU's PC with one processor: the kernel is
# built without ACPI, and the MP table of SeaBIOS names no other.

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(
    linux_arch='x86_64',
    kconfig='',
    qemu_arch='x86_64',
    kernel_path='arch/x86/boot/bzImage',
    kernel_command_line='console=ttyS0',
    extra_qemu_params=['-smp', '1', '-m', '256M'])
