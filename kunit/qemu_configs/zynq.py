# SPDX-License-Identifier: GPL-2.0-only
#
# For kunit.py --qemu_config: QEMU's xilinx-zynq-a9, RAM at 0. It needs
# --qemu_args='-dtb BUILD/arch/arm/boot/dts/xilinx/zynq-zc702.dtb', which
# `scripts/cma kunit` adds. The console is the second serial port; the machine
# has one core only, maxcpus=1 spares waiting for the second.

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(
    linux_arch='arm',
    kconfig='',
    qemu_arch='arm',
    kernel_path='arch/arm/boot/zImage',
    kernel_command_line='console=ttyPS0 maxcpus=1',
    extra_qemu_params=['-serial', 'stdio', '-machine', 'xilinx-zynq-a9',
                       '-smp', '1', '-m', '512M'],
    serial='null')
