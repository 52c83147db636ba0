# SPDX-License-Identifier: GPL-2.0-only
#
# For kunit.py --qemu_config: QEMU's virt with a 64-bit kernel. QEMU's device
# tree calls every device dma-coherent; the suites choose for themselves.

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(
    linux_arch='arm64',
    kconfig='',
    qemu_arch='aarch64',
    kernel_path='arch/arm64/boot/Image.gz',
    kernel_command_line='console=ttyAMA0',
    extra_qemu_params=['-machine', 'virt', '-cpu', 'cortex-a57',
                       '-smp', '2', '-m', '256M'])
