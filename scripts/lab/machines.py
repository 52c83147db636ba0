# SPDX-License-Identifier: GPL-2.0-only
"""The machines that the laboratory boots, and what is special about them."""

from dataclasses import dataclass, replace

from .errors import Exit, LabError
from .paths import MIB


@dataclass(frozen=True)
class Machine:
    """One QEMU machine.

    @ram         where RAM starts
    @memory      default size of RAM in MiB, @memory_range what is possible;
                 with less, the initrd (QEMU puts it into the middle of the
                 RAM, at most at 128 MiB) is where the default wish points
    @dtb         below arch/arm/boot/dts; None: QEMU makes it
    @cmdline     what the kernel needs to boot there
    @disk        what attaches disk.img, (): nothing
    @device      the device of the default wish, @label and @start its area
    @node        its path in the device tree
    @driver      its driver, as BUS/DRIVER
    @work        words for the guest that make this device move data
    @cells       #address-cells and #size-cells of its device tree
    @config      the only configuration that it is for, "" for all others
    @line        bytes in a line of the data cache of the real processor
    @outer       address of its PL310, 0: it has none
    @atomic      whether its driver also allocates where it must not sleep:
                 that memory is in no area, and the kernel says so
    """

    name: str
    qemu: tuple[str, ...]
    ram: int
    memory: int
    memory_range: tuple[int, int]
    dtb: str | None
    cmdline: str
    serial_before: tuple[str, ...]
    disk: tuple[str, ...]
    device: str
    node: str
    driver: str
    label: str
    start: str
    work: str
    cells: int
    config: str = ""
    line: int = 64
    outer: int = 0
    atomic: bool = False

    @property
    def wish(self) -> str:
        """The parameters that `boot` tries by default."""
        return f"cma={self.label}=8M@{self.start} " \
               f"cma_map={self.device}={self.label}"

    def rebind(self, rounds: int) -> str:
        """The word that makes the guest unbind and bind the device."""
        return f"guest.rebind={self.driver}/{self.device}:{rounds}"


# What the kernel maps for good, with its default of 240 MiB for vmalloc and
# user space of 3 GiB; RAM above it is high memory.
LOW_MEMORY = 768 * MIB
# 200 copies or transfers are the least that count as proof; both do more.
MIN_TRANSFERS = 200

DEFAULT = {
    machine.name: machine for machine in (
        # The second serial port is the console. -smp 1: QEMU's model does
        # not start the second core; maxcpus=1 spares a second of waiting
        # for it, as the device tree of the board has two.
        Machine(name="zynq",
                qemu=("-machine", "xilinx-zynq-a9", "-smp", "1"),
                ram=0, memory=512, memory_range=(96, 1024),
                dtb="xilinx/zynq-zc702.dtb",
                cmdline="console=ttyPS0 maxcpus=1",
                serial_before=("-serial", "null"), disk=(),
                device="f8003000.dma-controller",
                node="/axi/dma-controller@f8003000", driver="amba/dma-pl330",
                label="cmadevlabel", start="32M",
                work="guest.dmatest=f8003000.dma-controller:240:2",
                cells=1, line=32, outer=0xf8f02000),
        # highmem=off: without LPAE the kernel cannot reach PCI above 4 GiB.
        Machine(name="virt",
                qemu=("-machine", "virt,highmem=off", "-cpu", "cortex-a15",
                      "-smp", "2"),
                ram=0x40000000, memory=256, memory_range=(96, 2048),
                dtb=None,
                cmdline="console=ttyAMA0",
                serial_before=(),
                disk=("-drive", "if=none,id=disk,format=raw,file={}",
                      "-device", "nvme,drive=disk,serial=laboratory,addr=2"),
                device="0000:00:02.0", node="/pcie@10000000/nvme@2,0",
                driver="pci/nvme",
                label="nvmearea", start="0x42000000",
                work="guest.disk=/dev/nvme0n1:240", cells=2),
    )
}
# RAM up to 0x180000000: beyond 4 GiB, and most of it is high memory.
VIRT_LPAE = replace(
    DEFAULT["virt"], name="virt-lpae", memory=5120, memory_range=(2048, 8192),
    qemu=("-machine", "virt", "-cpu", "cortex-a15", "-smp", "2"),
    config="lpae")
# The same board, with its SD card instead of its DMA controller.
ZYNQ_SD = replace(
    DEFAULT["zynq"], name="zynq-sd",
    disk=("-drive", "if=sd,index=0,format=raw,file={}"),
    device="e0100000.mmc", node="/axi/mmc@e0100000",
    driver="platform/sdhci-arasan", work="guest.disk=/dev/mmcblk0:240")
# virtio with the DMA API: without iommu_platform it takes physical addresses.
VIRT_VIRTIO = replace(
    DEFAULT["virt"], name="virt-virtio",
    disk=("-drive", "if=none,id=disk,format=raw,file={}", "-device",
          "virtio-blk-pci,drive=disk,addr=2,iommu_platform=on,"
          "disable-legacy=on"),
    node="/pcie@10000000/virtio@2,0", driver="pci/virtio-pci",
    work="guest.disk=/dev/vda:240")
# The controller does DMA for the disk behind it.
VIRT_USB = replace(
    DEFAULT["virt"], name="virt-usb",
    disk=("-drive", "if=none,id=disk,format=raw,file={}", "-device",
          "qemu-xhci,id=usb,addr=2", "-device",
          "usb-storage,bus=usb.0,drive=disk"),
    node="/pcie@10000000/usb@2,0", driver="pci/xhci_hcd",
    label="usbarea", work="guest.disk=/dev/sda:240", config="usb", atomic=True)
MACHINES = {machine.name: machine for machine in (
    *DEFAULT.values(), VIRT_LPAE, VIRT_USB, VIRT_VIRTIO, ZYNQ_SD)}


def find(name: str) -> Machine:
    """The machine called @name; raises LabError(USAGE)."""
    try:
        return MACHINES[name]
    except KeyError:
        raise LabError(Exit.USAGE, f"--machine {name}: no such machine; "
                       f"there are {', '.join(MACHINES)}") from None


def memory(machine: Machine, text: str | None) -> int:
    """--mem in MiB (a plain number is MiB, as for QEMU's -m)."""
    if text is None:
        return machine.memory
    factor = {"m": 1, "g": 1024}.get(text[-1:].lower())
    digits = text[:-1] if factor else text
    least, most = machine.memory_range
    if not digits.isascii() or not digits.isdigit():
        raise LabError(Exit.USAGE, f"--mem {text}: not a size; "
                       f"{least}M to {most}M is possible on {machine.name}")
    size = int(digits) * (factor or 1)
    if not least <= size <= most:
        raise LabError(Exit.USAGE, f"--mem {text}: {machine.name} takes "
                       f"{least}M to {most}M")
    return size


def fill_share(mebibytes: int) -> int:
    """N for guest.fill=N: which part of each MiB gets a pattern.

    All of the memory is taken in any case, or the kernel would only hand out
    the highest zone; but only 64 MiB of it are written and compared.
    """
    return min(16, -(-mebibytes // 64))


def ram_bytes(mebibytes: int) -> int:
    """@mebibytes of RAM in bytes."""
    return mebibytes * MIB
