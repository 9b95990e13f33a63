/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci.h - a PCI configuration space as described state
 *
 *      0x00 vendor  0x02 device   0x04 command  0x06 status    0x08 revision, class     0x10 base address 0
 *
 * 256 bytes, little-endian as PCI has them.  What the guest cannot write must be the same at both ends, or another
 * device would answer to its driver.
 */
#ifndef BENCH_VFIO_PCI_H
#define BENCH_VFIO_PCI_H

#include <ferry/state.h>

#define VFIO_PCI_COMMAND 0x04
#define VFIO_PCI_MASTER  0x04 /* bit of the command: may write guest memory */

struct vfio_pci {
    uint8_t config[256];
    bool present; /* there is a device: its state is saved */
};

/* As after a reset, with a driver that has set it up. */
void vfio_pci_reset(struct vfio_pci *pci, uint32_t base_address);

bool vfio_pci_is_master(const struct vfio_pci *pci);

extern const struct ferry_state_desc vfio_pci_desc;

#endif
