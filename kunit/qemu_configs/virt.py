# SPDX-License-Identifier: GPL-2.0-only
#
# For kunit.py --qemu_config: QEMU's virt with the laboratory's kernel. As it
# is, its devices are dma-coherent; `scripts/cma kunit` adds
# --qemu_args='-dtb …' with a tree where they are not.

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(
    linux_arch='arm',
    kconfig='',
    qemu_arch='arm',
    kernel_path='arch/arm/boot/zImage',
    kernel_command_line='console=ttyAMA0',
    extra_qemu_params=['-machine', 'virt,highmem=off', '-cpu', 'cortex-a15',
                       '-smp', '2', '-m', '256M'])
